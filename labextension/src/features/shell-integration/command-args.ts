/** What the commands take, for whoever calls them by name; loaded when somebody asks. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

import { CommandIDs } from '../../core/tokens';

/** A JSON schema of the arguments of a command. */
export function describe(command: string, trans: TranslationBundle): { args: ReadonlyJSONObject } {
  const job = { type: 'string', description: trans.__('The job') };
  switch (command) {
    case CommandIDs.submit:
      return {
        args: object({
          path: {
            type: 'string',
            description: trans.__('The notebook or script; the current document when left out')
          },
          source: {
            type: 'string',
            description: trans.__(
              '“browser” and “folder” take what is selected in the file browser, “choose” lets the person choose a file'
            )
          },
          toolbar: { type: 'boolean', description: trans.__('Whether a toolbar’s button asks') }
        })
      };
    case CommandIDs.openJobs:
      return {
        args: object({
          id: { type: 'string', description: trans.__('The job to open in the list') }
        })
      };
    case CommandIDs.openTab:
      return {
        args: object({
          id: { type: 'string', description: trans.__('The job; the list of jobs when left out') }
        })
      };
    case CommandIDs.openOutput:
      return {
        args: object(
          {
            path: { type: 'string', description: trans.__('The result, as JupyterLab names it') },
            cell: {
              type: ['number', 'string'],
              description: trans.__('The cell to show: N of In [N], or its id')
            },
            input: {
              type: 'boolean',
              description: trans.__('Whether it is the submitted file, which did not change')
            }
          },
          'path'
        )
      };
    case CommandIDs.cancel:
      return { args: object({ id: job }, 'id') };
    default:
      return { args: object({}) };
  }
}

function object(properties: ReadonlyJSONObject, ...required: string[]): ReadonlyJSONObject {
  return required.length
    ? { type: 'object', required, properties }
    : { type: 'object', properties };
}
