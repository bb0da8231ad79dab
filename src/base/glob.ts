/** A name with `*` for any characters and `?` for one, as in file names. Pure. */
export function globPattern(glob: string): RegExp {
  const parts = glob.replaceAll(/[.+^${}()|[\]\\/]/g, '\\$&');
  return new RegExp(`^${parts.replaceAll('*', '[^]*').replaceAll('?', '[^]')}$`, 'u');
}
