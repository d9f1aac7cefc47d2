/** Values of parameters as they are sent (`aiinfn_hub/contract/values.py`), written as Python will have them. No React. */

import type { Json } from './types';

/** The number that a value is, also one that JSON cannot hold; null if it is none. */
export function numberOf(value: Json | undefined): number | null {
  if (typeof value === 'number') {
    return value;
  }
  const [tag, inner] = tagged(value);
  if (tag === '$float') {
    return inner === 'nan' ? NaN : inner === 'inf' ? Infinity : -Infinity;
  }
  return tag === '$int' ? Number(inner) : null;
}

/** Write a value as Python does: `None`, `0.5`, `'text'`, `inf`, `(3, 4)`. */
export function asPython(value: Json): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False';
    case 'number':
      return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
    case 'string':
      return quote(value);
  }
  if (value === null) {
    return 'None';
  }
  if (Array.isArray(value)) {
    return `[${value.map(asPython).join(', ')}]`;
  }
  const [tag, inner] = tagged(value);
  if (tag === '$tuple') {
    const items = (inner as Json[]).map(asPython);
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  return tag
    ? String(inner)
    : `{${Object.keys(value)
        .map(name => `${quote(name)}: ${asPython(value[name])}`)
        .join(', ')}}`;
}

/** The tag of a tagged value and what it holds; empty for any other. */
function tagged(value: Json | undefined): [string, Json] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return ['', null];
  }
  const names = Object.keys(value);
  const inner = value[names[0]];
  const known =
    names.length === 1 &&
    ((names[0] === '$float' && /^(-?inf|nan)$/.test(String(inner))) ||
      (names[0] === '$int' && typeof inner === 'string' && /^-?\d{1,1000}$/.test(inner)) ||
      (names[0] === '$tuple' && Array.isArray(inner)));
  return known ? [names[0], inner] : ['', null];
}

const ESCAPES: { [character: string]: string } = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text
    .replace(/\\/g, '\\\\')
    .replaceAll(mark, `\\${mark}`)
    .replace(
      // eslint-disable-next-line no-control-regex
      /[\x00-\x1f\x7f]/g,
      character =>
        ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
    );
  return mark + inner + mark;
}

/** What a cell shows: numbers with at most six digits; the whole value is in its title. */
export function show(value: Json | undefined): string {
  if (value === undefined) {
    return '';
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 1e15
      ? String(value)
      : String(Number(value.toPrecision(6)));
  }
  return typeof value === 'string' ? value : asPython(value);
}

/** The whole value, where the cell shows less. */
export function whole(value: Json | undefined): string | undefined {
  const text = typeof value === 'number' ? String(value) : show(value);
  return text !== show(value) || text.length > 24 ? text : undefined;
}
