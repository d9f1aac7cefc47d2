/** Opens the result of a job, at one of its cells if that is asked for; loaded when it is first needed. */

import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import { type IDocuments, openContext } from './documents';
import { TOOK_OVER } from './words';

/** What is needed of a cell's model to find it. */
interface ICell {
  id: string;
  type: string;
  sharedModel: { source: string };
  executionCount?: number | null;
  getMetadata(key: string): unknown;
}

/**
 * Open a result.
 *
 * @param cell - A number N means the N-th cell that the job executed, `In [N]`, as its progress and errors count; a text
 * is the id of a cell.
 */
export async function openOutput(
  commands: CommandRegistry,
  documents: IDocuments,
  path: string,
  cell?: unknown
): Promise<void> {
  const known = openContext(documents, path);
  const widget: IDocumentWidget | undefined = await commands.execute('docmanager:open', { path });
  if (known && !known.model.dirty) {
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
  await content.scrollToItem(index, 'start');
  content.activate();
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
