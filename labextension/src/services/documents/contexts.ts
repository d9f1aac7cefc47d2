/** The open documents of files, by whatever drive they were opened; loaded when a file is submitted or a result opened. */

import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';

import { diskPath, type IDocuments, SHARED } from './documents';

/** Documents with unsaved changes, by whatever drive they were opened: the one of a path, or those in the folder of it. */
export function unsavedContexts(documents: IDocuments, path: string): DocumentRegistry.Context[] {
  const place = (path: string) => `${diskPath(documents.contents, path)}/`;
  return [documents.notebooks, documents.editors].flatMap(tracker =>
    (tracker?.filter(({ context }) => context.model.dirty) ?? [])
      .map(({ context }) => context as DocumentRegistry.Context)
      .filter(context => place(context.path).startsWith(place(path)))
  );
}

/** The open document of a file, by whatever drive it was opened, if there is one. */
export function openContext(
  documents: IDocuments,
  path: string
): DocumentRegistry.Context | undefined {
  const { contents, notebooks, editors } = documents;
  const wanted = diskPath(contents, path);
  const same = (widget: IDocumentWidget) =>
    wanted !== null && diskPath(contents, widget.context.path) === wanted;
  return (notebooks?.find(same) ?? editors?.find(same))?.context;
}

/** The path by which a file of the disk is to be opened: as it is open already, else as the file browser would. */
export function pathToOpen(documents: IDocuments, path: string): string {
  const shared = documents.browser?.model.driveName === SHARED;
  return (
    openContext(documents, path)?.path ??
    (shared && !documents.contents.driveName(path) ? `${SHARED}:${path}` : path)
  );
}
