import { readFileSync } from 'fs';
import { join } from 'path';

import { initialInput, inputOf, readParameters } from '../core/parameters';
import type { IParameter, Json, ParameterType } from '../core/types';
import { asPython, numberOf, show } from '../core/values';
import { writeTable } from '../features/sweep/write';

/** What is typed and what it means: the same table as in tests/unit/test_values.py, where the server reads it. */
const CASES = JSON.parse(
  readFileSync(join(__dirname, '../../../tests/cases/values.json'), 'utf8')
) as { read: [string, string, Json, string][] };

const parameter = (type: ParameterType, value: Json = null): IParameter => ({
  name: 'p',
  type,
  default: value,
  source: '',
  help: ''
});

describe('values of parameters', () => {
  // A browser cannot tell 5.0 from 5.
  it.each(CASES.read.filter(([, , , written]) => !/^-?\d+\.0$/.test(written)))(
    'of %s, %j is shown as Python has it',
    (_default, _typed, value, written) => {
      expect(asPython(value)).toBe(written);
    }
  );

  it.each([
    [{ $float: 'x' }, "{'$float': 'x'}"],
    [{ $int: 5 }, "{'$int': 5}"],
    [{ $float: 'inf', b: 1 }, "{'$float': 'inf', 'b': 1}"],
    [{ $tuple: [] }, '()'],
    [[[], {}], '[[], {}]'],
    ['a\nb\\c\u0001', "'a\\nb\\\\c\\x01'"],
    [`"it's"`, `'"it\\'s"'`]
  ] as [Json, string][])('%j is %s', (value, written) => {
    expect(asPython(value)).toBe(written);
  });

  it('are numbers also where JSON has none', () => {
    expect(numberOf({ $float: '-inf' })).toBe(-Infinity);
    expect(numberOf({ $float: 'nan' })).toBeNaN();
    expect(numberOf({ $int: '9007199254740993' })).toBeGreaterThan(2 ** 53 - 1);
    expect(numberOf('inf')).toBeNull();
    expect(show({ $float: 'inf' })).toBe('inf');
  });

  it('are sent as they were typed, and only where they differ from the notebook', () => {
    const known = [
      { ...parameter('int', 1), name: 'n' },
      { ...parameter('bool', true), name: 'fast' },
      { ...parameter('str', 'a'), name: 'word' },
      { ...parameter('none'), name: 'limit' },
      { ...parameter('list', { $tuple: [3, 4] }), name: 'shape' }
    ];
    expect(readParameters(known, {})).toEqual({});
    const typed = { n: '0.5', fast: false, word: 'b', limit: 'None', shape: '(3, 4)' };
    expect(readParameters(known, typed)).toEqual({
      n: '0.5',
      fast: 'False',
      word: 'b',
      limit: 'None'
    });
  });

  it.each([
    ['str', 'a', 'a'],
    ['str', "'a'", `"'a'"`],
    ['str', 'None', "'None'"],
    ['int', 0.5, '0.5'],
    ['none', 7, '7'],
    ['none', 'a', "'a'"],
    ['unknown', null, 'None'],
    ['float', { $float: 'inf' }, 'inf'],
    ['list', [1, null, true], '[1, None, True]'],
    ['bool', false, false]
  ] as [ParameterType, Json, string | boolean][])(
    'of a job that runs again: %s %j is %j',
    (type, value, input) => {
      expect(inputOf(parameter(type), value)).toBe(input);
    }
  );

  it('begin with the notebook’s own', () => {
    expect(initialInput(parameter('float', { $float: 'inf' }))).toBe('inf');
    expect(initialInput(parameter('unknown'))).toBe('');
    expect(initialInput(parameter('float'))).toBe('');
    expect(initialInput(parameter('str', ''))).toBe('');
  });

  it('are written into a table so that each is read as it is', () => {
    const points = [
      { a: null, b: 'None' },
      { a: { $float: 'nan' }, b: '1_000' },
      { b: 'inf' },
      { a: [1, 2], b: 'plain text' }
    ];
    expect(writeTable(points as { [name: string]: Json }[], [])).toBe(
      'a,b\nNone,"""None"""\nnan,"""1_000"""\n,"""inf"""\n"[1, 2]",plain text\n'
    );
  });
});
