import { notebookFingerprint } from '../services/documents/notebook-fingerprint';

const notebook = (source: string | string[], more: object = {}) => ({
  cells: [{ cell_type: 'code', source, metadata: {}, outputs: [], ...more }],
  metadata: { kernelspec: { name: 'python3' } }
});

describe('notebookFingerprint', () => {
  it('is the same whichever way the source is written, and whatever was printed', () => {
    const lines = notebook(['a = 1\n', 'b = 2'], { outputs: [{ text: 'x' }], execution_count: 3 });
    expect(notebookFingerprint(lines)).toBe(notebookFingerprint(notebook('a = 1\nb = 2')));
  });

  it.each([
    ['a source', notebook('a = 2')],
    ['a tag', notebook('a = 1', { metadata: { tags: ['parameters'] } })],
    ['the kernel', { ...notebook('a = 1'), metadata: { kernelspec: { name: 'julia' } } }]
  ])('differs by %s', (_, changed) => {
    expect(notebookFingerprint(changed)).not.toBe(notebookFingerprint(notebook('a = 1')));
  });
});
