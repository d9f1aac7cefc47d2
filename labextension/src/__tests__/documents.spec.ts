import { ContentsManager, Drive, ServerConnection } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import type { Widget } from '@lumino/widgets';

import { openContext, pathToOpen } from '../services/documents/contexts';
import {
  currentPath,
  diskPath,
  type IDocuments,
  isSupported,
  selectedPath
} from '../services/documents/documents';
import { openOutput } from '../services/documents/open-output';

const serverSettings = ServerConnection.makeSettings({ baseUrl: 'http://here/' });
const contents = new ContentsManager({ serverSettings });
// jupyter-collaboration's drive shows the server's own files, another one those of a store elsewhere.
contents.addDrive(new Drive({ name: 'RTC', serverSettings }));
contents.addDrive(new Drive({ name: 'S3', serverSettings }));

/** A document as a tracker has it. */
function makeDocument(path: string, dirty = false) {
  const context = { path, model: { dirty }, reverted: 0, revert: async () => context.reverted++ };
  return { context };
}

/** The trackers, with some documents open and some files selected. */
function makeDocuments(
  open: ReturnType<typeof makeDocument>[],
  selected: string[] = [],
  driveName = ''
): IDocuments {
  const tracker = {
    has: (widget: Widget) => open.includes(widget as unknown as (typeof open)[0]),
    find: (test: (widget: (typeof open)[0]) => boolean) => open.find(test),
    currentWidget: open[0] ?? null
  };
  const browser = {
    model: { driveName },
    selectedItems: () => selected.map(path => ({ path, type: 'file' })).values()
  };
  return { contents, notebooks: tracker, editors: null, browser } as unknown as IDocuments;
}

afterAll(() => contents.dispose());

describe('paths', () => {
  it.each([
    ['work/a.ipynb', 'work/a.ipynb'],
    ['/work/a.ipynb', 'work/a.ipynb'],
    ['RTC:work/a.ipynb', 'work/a.ipynb'],
    ['S3:work/a.ipynb', null],
    ['odd:name.ipynb', 'odd:name.ipynb']
  ])('%s is on the disk as %s', (path, local) => expect(diskPath(contents, path)).toBe(local));

  it.each([
    ['RTC:a.ipynb', true],
    ['RTC:a.csv', false],
    ['S3:a.py', false]
  ])('whether %s can be submitted: %s', (path, may) =>
    expect(isSupported(makeDocuments([]), path)).toBe(may)
  );
});

describe('the document that is meant', () => {
  it('may have the prefix of a drive', () => {
    const shared = makeDocument('RTC:a.ipynb');
    expect(currentPath(makeDocuments([shared]), shared as unknown as Widget)).toBe('RTC:a.ipynb');
    expect(selectedPath(makeDocuments([], ['RTC:b.csv', 'RTC:b.py']))).toBe('RTC:b.py');
  });

  it('is none where it is in a store elsewhere', () => {
    const far = makeDocument('S3:a.ipynb');
    expect(currentPath(makeDocuments([far]), far as unknown as Widget)).toBeNull();
    expect(selectedPath(makeDocuments([], ['S3:a.ipynb']))).toBeNull();
  });
});

describe('the open document of a file', () => {
  it.each([
    ['a.ipynb', 'RTC:a.ipynb'],
    ['RTC:a.ipynb', 'a.ipynb'],
    ['RTC:a.ipynb', 'RTC:a.ipynb']
  ])('is found by %s where it is open as %s', (path, as) => {
    const document = makeDocument(as);
    expect(openContext(makeDocuments([document]), path)).toBe(document.context);
  });

  it('is not that of another drive', () => {
    const far = makeDocument('S3:a.ipynb');
    expect(openContext(makeDocuments([far]), 'a.ipynb')).toBeUndefined();
    expect(openContext(makeDocuments([far]), 'S3:a.ipynb')).toBeUndefined();
  });
});

describe('a result', () => {
  it.each([
    ['as the file browser opens files', [], 'RTC', 'RTC:out.ipynb'],
    ['as it is open already', [makeDocument('out.ipynb')], 'RTC', 'out.ipynb'],
    ['together with others', [makeDocument('RTC:out.ipynb')], '', 'RTC:out.ipynb'],
    ['by itself', [], '', 'out.ipynb']
  ])('is opened %s', (_, open, drive, path) => {
    expect(pathToOpen(makeDocuments(open, [], drive), 'out.ipynb')).toBe(path);
  });

  it('that is open is read again, but a submitted file is not', async () => {
    const commands = new CommandRegistry();
    const opened: unknown[] = [];
    commands.addCommand('docmanager:open', {
      describedBy: { args: {} },
      execute: ({ path }) => opened.push(path)
    });
    const document = makeDocument('RTC:out.ipynb');
    const documents = makeDocuments([document]);
    await openOutput(commands, documents, 'out.ipynb');
    expect(document.context.reverted).toBe(1);
    await openOutput(commands, documents, 'out.ipynb', { input: true });
    expect(document.context.reverted).toBe(1);
    expect(opened).toEqual(['RTC:out.ipynb', 'RTC:out.ipynb']);
  });

  it('with changes that are not saved stays as it is', async () => {
    const commands = new CommandRegistry();
    commands.addCommand('docmanager:open', { describedBy: { args: {} }, execute: () => undefined });
    const document = makeDocument('out.ipynb', true);
    await openOutput(commands, makeDocuments([document]), 'out.ipynb');
    expect(document.context.reverted).toBe(0);
  });
});
