/** Opens the result of a job, at one of its cells if that is asked for; loaded when it is first needed. */

import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { Notebook, NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import { TOOK_OVER } from '../../core/status';
import { openContext, pathToOpen } from './contexts';
import type { IDocuments } from './documents';

/** Milliseconds between two looks at where the cell is. */
const PACE = 150;
/** Looks at most, and looks in a row that must find it in view. */
const LOOKS = 60;
const STEADY = 5;
/** Pixels of the cell's beginning that must be seen. */
const NEAR = 40;

/** What is needed of a cell's model to find it. */
interface ICell {
  id: string;
  type: string;
  sharedModel: { source: string };
  executionCount?: number | null;
  getMetadata(key: string): unknown;
}

interface IOpenOptions {
  cell?: unknown;
  input?: unknown;
}

/**
 * Open a result.
 *
import { openContext, pathToOpen } from './contexts';
import type { IDocuments } from './documents';
import { TOOK_OVER } from '../../core/status';
 */
export async function openOutput(
  commands: CommandRegistry,
  documents: IDocuments,
  path: string,
  { cell, input }: IOpenOptions = {}
): Promise<void> {
  const known = openContext(documents, path);
  const widget: IDocumentWidget | undefined = await commands.execute('docmanager:open', {
    path: pathToOpen(documents, path)
  });
  if (known && !known.model.dirty && !input) {
    // It grows on the disk while the job runs.
    await known.revert();
  }
  if (
    !(typeof cell === 'number' || typeof cell === 'string') ||
    !widget ||
    !documents.notebooks?.has(widget)
  ) {
    return;
  }
  const panel = widget as unknown as NotebookPanel;
  await panel.revealed;
  const { content } = panel;
  const cells = content.model?.cells;
  const index = cells ? findCell([...cells] as unknown as ICell[], cell) : -1;
  if (index < 0) {
    return;
  }
  content.deselectAll();
  content.activeCellIndex = index;
  content.mode = 'command';
  content.activate();
  await bringIntoView(content, index);
}

/**
 * Scroll to a cell, and again while it does not stay in view.
 *
 * JupyterLab renders the cells above it meanwhile, and scrolls by itself when it has opened a notebook.
 */
async function bringIntoView(content: Notebook, index: number): Promise<void> {
  let steady = 0;
  for (let look = 0; look < LOOKS && steady < STEADY && !content.isDisposed; look++) {
    const cell = content.widgets[index]?.node.getBoundingClientRect();
    const box = content.outerNode.getBoundingClientRect();
    const seen = cell?.height && cell.top >= box.top - 1 && cell.top < box.bottom - NEAR;
    steady = seen ? steady + 1 : 0;
    if (!seen) {
      // It never settles where another wish to scroll takes its place.
      void content.scrollToItem(index, 'start').catch(() => undefined);
    }
    await new Promise(resolve => setTimeout(resolve, PACE));
  }
}

/** The place of a cell in a notebook, or -1. */
export function findCell(cells: readonly ICell[], wanted: number | string): number {
  if (typeof wanted === 'string') {
    return cells.findIndex(cell => cell.id === wanted);
  }
  const from = cells.findIndex(cell => cell.id === TOOK_OVER) + 1;
  const executed = cells.findIndex(
    (cell, index) => index >= from && cell.executionCount === wanted
  );
  if (executed >= 0) {
    return executed;
  }
  // A cell that did not come to its end has no number; the runner counts those that it executes.
  let number = 0;
  return cells.findIndex((cell, index) => index >= from && runs(cell) && ++number === wanted);
}

/** Whether the runner executes a cell; `_runs` in aiinfn_lab/runner/execution.py. */
function runs(cell: ICell): boolean {
  const tags = cell.getMetadata('tags');
  return (
    cell.type === 'code' &&
    cell.sharedModel.source.trim() !== '' &&
    !(Array.isArray(tags) && tags.includes('skip-execution'))
  );
}
