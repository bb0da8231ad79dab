/** What is wrong with XML of elements, attributes and text alone; undefined: nothing. */
export function xmlFault(xml: string): string | undefined {
  const open: string[] = [];
  let at = 0;
  let roots = 0;
  const pattern = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[A-Za-z][\w:-]*="[^"<]*")*)\s*(\/?)>/y;
  while (at < xml.length) {
    if (xml[at] !== '<') {
      const end = xml.indexOf('<', at);
      const text = xml.slice(at, end < 0 ? undefined : end);
      if (open.length === 0 && text.trim() !== '') return `text outside: ${text.slice(0, 40)}`;
      if (isFaultyText(text)) return `text: ${text.slice(0, 80)}`;
      at += text.length;
      continue;
    }
    pattern.lastIndex = at;
    const match = pattern.exec(xml);
    if (match === null) return `tag: ${xml.slice(at, at + 80)}`;
    const [whole, closing, name = '', attributes = '', selfClosing] = match;
    const names = [...attributes.matchAll(/([\w:-]+)=/g)].map(([, attribute]) => attribute);
    if (new Set(names).size < names.length) return `an attribute twice: ${whole}`;
    if (isFaultyText(attributes)) return `attributes: ${attributes}`;
    if (closing === '/') {
      if (open.pop() !== name) return `closed and not open: ${name}`;
    } else {
      if (open.length === 0) roots += 1;
      if (selfClosing !== '/') open.push(name);
    }
    at += whole.length;
  }
  if (open.length > 0) return `open at the end: ${open.join(', ')}`;
  return roots === 1 ? undefined : `${roots} roots`;
}

function isFaultyText(text: string): boolean {
  const isEntity = /&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-f]+);)/.test(text);
  const isForbidden = [...text].some((one) => {
    const code = one.codePointAt(0) ?? 0;
    const isControl = code < 0x20 && ![0x9, 0xa, 0xd].includes(code);
    return isControl || (code >= 0xd800 && code <= 0xdfff) || code === 0xfffe || code === 0xffff;
  });
  return isEntity || isForbidden;
}
