/** The commands behind toolbar, menus, palette, shortcut and notifications. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { currentPath, type IDocuments, isSupported, openContext, selectedPath } from './documents';
import { jobsIcon, submitIcon } from './icons';
import { CommandIDs, type IJobs } from './tokens';

interface ICommandOptions {
  app: JupyterFrontEnd;
  jobs: IJobs;
  trans: TranslationBundle;
  documents: IDocuments;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Register all commands. */
export function addCommands({ app, jobs, trans, documents }: ICommandOptions): void {
  const { commands } = app;

  const target = (args: ReadonlyPartialJSONObject): string | null => {
    if (text(args.path)) {
      return text(args.path);
    }
    return args.source === 'browser'
      ? selectedPath(documents)
      : currentPath(documents, app.shell.currentWidget);
  };

  commands.addCommand(CommandIDs.submit, {
    label: trans.__('Submit as batch'),
    caption: trans.__('Run this file as a batch job, while you go on or after you have left'),
    icon: args => (args.isPalette ? undefined : submitIcon),
    isEnabled: args => args.toolbar === true || target(args) !== null,
    // The file browser's menu has one entry for all files; it shows for those that can run.
    isVisible: args => args.source !== 'browser' || selectedPath(documents) !== null,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          path: {
            type: 'string',
            description: trans.__('The notebook or script; the current document when left out')
          },
          source: {
            type: 'string',
            description: trans.__('“browser” takes the file selected in the file browser')
          },
          toolbar: { type: 'boolean', description: trans.__('Whether a toolbar’s button asks') }
        }
      }
    },
    execute: async args => {
      const path = target(args);
      if (!path || !isSupported(path)) {
        await showErrorMessage(
          trans.__('Nothing to submit'),
          trans.__(
            'Open a notebook or a script (.py, .sh, .R), or select one in the file browser, then submit again.'
          )
        );
        return;
      }
      const context = openContext(documents, path);
      const { contents } = app.serviceManager;
      if (context?.model.dirty) {
        const { settleUnsaved } = await import('./unsaved');
        if (!(await settleUnsaved(context, contents, trans))) {
          return;
        }
      }
      // A path of a real-time collaboration drive is still a file on the disk.
      await (await jobs.load()).openSubmit(contents.localPath(path));
    }
  });

  commands.addCommand(CommandIDs.runFromHere, {
    label: trans.__('Run from here as batch'),
    isEnabled: () => !!documents.notebooks?.currentWidget,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () =>
      (await import('./carry/command')).runFromHere(
        app,
        jobs,
        documents.notebooks?.currentWidget ?? null,
        trans
      )
  });

  commands.addCommand(CommandIDs.openJobs, {
    label: trans.__('Show batch jobs'),
    caption: trans.__('Show the list of batch jobs'),
    icon: args => (args.isPalette ? undefined : jobsIcon),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          id: { type: 'string', description: trans.__('The job to open in the list') }
        }
      }
    },
    execute: args => jobs.show(text(args.id) || undefined)
  });

  commands.addCommand(CommandIDs.openOutput, {
    label: trans.__('Open output'),
    caption: trans.__('Open the result of a batch job'),
    describedBy: {
      args: {
        type: 'object',
        required: ['path'],
        properties: {
          path: { type: 'string', description: trans.__('The result, as JupyterLab names it') },
          cell: {
            type: ['number', 'string'],
            description: trans.__('The cell to show: N of In [N], or its id')
          }
        }
      }
    },
    execute: async args => {
      const path = text(args.path);
      if (!path) {
        return;
      }
      await (await import('./output')).openOutput(commands, documents, path, args.cell);
    }
  });

  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel batch job'),
    caption: trans.__('Stop a batch job'),
    icon: stopIcon,
    describedBy: {
      args: {
        type: 'object',
        required: ['id'],
        properties: { id: { type: 'string', description: trans.__('The job') } }
      }
    },
    execute: async args => {
      const id = text(args.id);
      if (id) {
        await (await jobs.load()).cancel(id);
      }
    }
  });
}
