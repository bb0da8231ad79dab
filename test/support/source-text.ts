/**
 * Reads TypeScript far enough to tell code from comments and texts. Blanked parts become spaces, so
 * every offset and line stays what it was.
 */
export interface SourceText {
  /** Without comments. */
  readonly uncommented: string;
  /** Without comments and without what stands in texts and regular expressions. */
  readonly code: string;
}

const BEFORE_REGEX = /(^|[(,=:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|in|of|await|yield))\s*$/;

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

/** The end of a comment, text or regular expression that starts at `from`; -1 if none does. */
function endOf(text: string, from: number, codeBefore: string): number {
  const rest = text.slice(from);
  const comment = /^(\/\/[^\n]*|\/\*[\s\S]*?\*\/)/.exec(rest);
  if (comment !== null) return from + comment[0].length;
  const quotedText = /^('(\\.|[^'\\\n])*'|"(\\.|[^"\\\n])*")/.exec(rest);
  if (quotedText !== null) return from + quotedText[0].length;
  if (rest.startsWith('/') && BEFORE_REGEX.test(codeBefore.slice(-60))) {
    const regex = /^\/(\\.|\[(\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/.exec(rest);
    if (regex !== null) return from + regex[0].length;
  }
  return -1;
}

export function readSource(text: string): SourceText {
  let uncommented = '';
  let code = '';
  // Depth of braces at which each template literal that is still open goes on as text.
  const templates: number[] = [];
  let depth = 0;
  let inTemplate = false;
  for (let at = 0; at < text.length; ) {
    const character = text[at] ?? '';
    if (inTemplate) {
      const piece = character === '\\' ? text.slice(at, at + 2) : character;
      const opens = text.startsWith('${', at);
      if (opens) {
        templates.push(depth);
        depth += 1;
        inTemplate = false;
      } else if (character === '`') inTemplate = false;
      const kept = opens ? '${' : piece;
      uncommented += kept;
      code += opens || character === '`' ? kept : blank(kept);
      at += kept.length;
      continue;
    }
    const end = endOf(text, at, code);
    if (end > at) {
      const piece = text.slice(at, end);
      const isComment = piece.startsWith('//') || piece.startsWith('/*');
      uncommented += isComment ? blank(piece) : piece;
      // The quotes stay: `return ''` is not `return`.
      const edge = piece[0] ?? '';
      code += isComment ? blank(piece) : `${edge}${blank(piece.slice(1, -1))}${edge}`;
      at = end;
      continue;
    }
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === '}' && templates.at(-1) === depth) {
      templates.pop();
      inTemplate = true;
    } else if (character === '`') inTemplate = true;
    uncommented += character;
    code += character;
    at += 1;
  }
  return { uncommented, code };
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

const FROM = /(?:^|[\n;])\s*(?:import|export)\b[^;]*?\bfrom\s*['"]([^'"]+)['"]/g;
const BARE = /(?:^|[\n;])\s*import\s*['"]([^'"]+)['"]/g;
const CALL = /\b(?:import|require|resolve)\s*\(\s*['"`]([^'"`]+)['"`]/g;

/** What a file imports, in whatever form: static, for effect, for types, or when it runs. */
export function importsOf(source: SourceText): Import[] {
  const found = [FROM, BARE, CALL].flatMap((form) => [...source.uncommented.matchAll(form)]);
  return found
    .sort((a, b) => a.index - b.index)
    .flatMap((match) => {
      const [whole, specifier = ''] = match;
      const offset = match.index + whole.length - specifier.length - 1;
      // An import that is written inside a text is none.
      const isCode = source.code.slice(match.index, offset).trim() !== '';
      return isCode ? [{ specifier, line: lineAt(source.uncommented, offset) }] : [];
    });
}
