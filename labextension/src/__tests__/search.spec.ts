import { fold, matches, parse } from '../services/job-search';
import { makeJob } from './server';

describe('parse', () => {
  it.each([
    ['', {}],
    ['  train   CIFAR ', { search: 'train CIFAR' }],
    ['label:Paper-2026', { label: 'paper-2026' }],
    [
      'fit label:a owner:ada project:ml',
      { search: 'fit', label: 'a', owner: 'ada', project: 'ml' }
    ],
    ['label:a label:b', { label: 'a', search: 'b' }],
    ['label:', {}],
    ['http://x', { search: 'http://x' }]
  ])('reads %p', (typed, query) => {
    expect(parse(typed)).toEqual(query);
  });
});

describe('matches', () => {
  const job = makeJob('h7k2m9x4wq', {
    name: 'Perché CIFAR10',
    labels: ['paper-2026'],
    error: { name: 'RuntimeError', message: 'CUDA out of memory', cell: 3, traceback: '' }
  });

  it.each(['perche', 'far1', 'H7K2', 'paper', 'cuda MEMORY', '.ipynb cifar'])(
    'finds %p',
    search => {
      expect(matches(job, { search })).toBe(true);
    }
  );

  it.each(['perché no', 'xcifar', 'traceback'])('does not find %p', search => {
    expect(matches(job, { search })).toBe(false);
  });

  it('asks for label, owner and project as they are', () => {
    expect(matches(job, { label: 'paper-2026', owner: 'ada', project: 'ml' })).toBe(true);
    expect(matches(job, { label: 'paper' })).toBe(false);
    expect(matches(job, { owner: 'bob' })).toBe(false);
  });

  // The same rows as in tests/vkd/test_search.py.
  it.each([
    ['  Città\tÉTÉ ', 'citta ete'],
    ['  Train   CIFAR10 ', 'train cifar10'],
    ['STRASSE straße', 'strasse strasse'],
    ['ﬁt', 'fit'],
    ['\u0130stanbul', 'istanbul'],
    ['\u{1d54a}ampling \u212bngstr\u00f6m \u00aa', 'sampling angstrom a'],
    ['ΟΔΟΣ οδος', 'οδοσ οδοσ']
  ])('folds %j as vkd does', (typed, folded) => {
    expect(fold(typed)).toBe(folded);
    expect(fold(folded)).toBe(folded);
  });
});
