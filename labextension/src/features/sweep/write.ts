/** Points as the text of a table, which the server (`aiinfn_lab/submission/sweep.py`) reads as the same points. No React. */

import type { IParameter, Json, Point } from '../../core/types';
import { asPython } from '../../core/values';

export function writeTable(points: readonly Point[], parameters: readonly IParameter[]): string {
  const names = [...new Set(points.flatMap(point => Object.keys(point)))];
  const texts = new Set(parameters.filter(({ type }) => type === 'str').map(({ name }) => name));
  const rows = points.map(point => names.map(name => cell(point[name], texts.has(name))));
  const all = [names, ...rows];
  const cells = all.flat();
  // A list such as [1,2] is easier to edit without quotes around it.
  const tabs = cells.some(text => /,/.test(text)) && !cells.some(text => /["'\t\r\n]/.test(text));
  const separator = tabs ? '\t' : ',';
  return all.map(row => row.map(text => quoted(text, separator)).join(separator) + '\n').join('');
}

/** Words that the server reads as values. */
const VALUES = /^(none|true|false|null|-?(np\.|numpy\.|math\.)?(inf|nan|infinity))$/i;

/** Write a value so that it is read as the same one. */
function cell(value: Json | undefined, isText: boolean): string {
  if (typeof value !== 'string') {
    return value === undefined ? '' : asPython(value);
  }
  const bare = value !== '' && value === value.trim() && !/[\r\n]/.test(value);
  if (isText) {
    return bare && value !== 'None' && !/^(["'])[^]*\1$/.test(value)
      ? value
      : JSON.stringify(value);
  }
  // A text that reads like a number, a list or the like has quotes of its own.
  return bare && /^[\p{L}_/.~]/u.test(value) && !VALUES.test(value) && !/^\.\d/.test(value)
    ? value
    : JSON.stringify(value);
}

function quoted(text: string, separator: string): string {
  return text.includes(separator) || /["\r\n]/.test(text)
    ? `"${text.replaceAll('"', '""')}"`
    : text;
}
