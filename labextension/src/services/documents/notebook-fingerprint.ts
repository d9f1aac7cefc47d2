/** What of a notebook a job depends on. */

interface INotebook {
  cells?: { cell_type?: string; source?: string | string[]; metadata?: { tags?: string[] } }[];
  metadata?: { kernelspec?: { name?: string } };
}

/** What of a notebook decides what its job does, as comparable text. */
export function notebookFingerprint(notebook: unknown): string {
  const { cells, metadata } = (notebook ?? {}) as INotebook;
  return JSON.stringify([
    metadata?.kernelspec?.name ?? '',
    (cells ?? []).map(cell => [
      cell.cell_type,
      Array.isArray(cell.source) ? cell.source.join('') : (cell.source ?? ''),
      cell.metadata?.tags ?? []
    ])
  ]);
}
