/** Parameters of a notebook: what their inputs show, and what was typed. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IParameter, Json } from './types';
import { asPython } from './values';

/** What a parameter's input holds: text as it was typed, or the state of a box. */
export type Typed = string | boolean;

/** What the input of a parameter shows before somebody types. */
export function initialInput(parameter: IParameter): Typed {
  const { type, default: value } = parameter;
  if (type === 'bool' && value === null) {
    return false;
  }
  return value === null || type === 'unknown' ? '' : inputOf(parameter, value);
}

/** What the input of a parameter shows of a value, so that the server (`aiinfn_lab/submission/values.py`) reads it as the same one. */
export function inputOf({ type }: IParameter, value: Json): Typed {
  if (type === 'bool' && typeof value === 'boolean') {
    return value;
  }
  if (type === 'str' && typeof value === 'string') {
    return value === 'None' || /^\s*(["'])[^]*\1\s*$/.test(value) ? asPython(value) : value;
  }
  return asPython(value);
}

/** Whether an input differs from the notebook. */
export function isChanged(parameter: IParameter, input: Typed): boolean {
  return input !== initialInput(parameter);
}

/** What was typed for the parameters that differ from the notebook; the server reads it, by one rule for all doors. */
export function readParameters(
  parameters: readonly IParameter[],
  inputs: { [name: string]: Typed }
): { [name: string]: string } {
  const typed: { [name: string]: string } = {};
  for (const parameter of parameters) {
    const input = inputs[parameter.name] ?? initialInput(parameter);
    if (isChanged(parameter, input)) {
      typed[parameter.name] = typeof input === 'boolean' ? asPython(input) : input;
    }
  }
  return typed;
}

/** What a parameter takes, in words. */
export function typeWord(parameter: IParameter, trans: TranslationBundle): string {
  switch (parameter.type) {
    case 'bool':
      return trans.__('yes or no');
    case 'int':
      return trans.__('whole number');
    case 'float':
      return trans.__('number');
    case 'str':
      return trans.__('text');
    case 'list':
      return trans.__('list');
    case 'dict':
      return trans.__('pairs');
    default:
      return trans.__('any value');
  }
}
