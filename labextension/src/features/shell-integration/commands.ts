/** The commands behind toolbar, menus, palette, shortcut and notifications. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { jobsIcon, submitIcon } from '../../core/icons';
import { CommandIDs, type IJobs } from '../../core/tokens';
import {
  currentPath,
  type IDocuments,
  isSupported,
  selectedPath,
  unsavedContexts
} from '../../services/documents/documents';

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

  const described = async (command: string) =>
    (await import('./command-args')).describe(command, trans);

  const target = (args: ReadonlyPartialJSONObject): string | null => {
    if (text(args.path) || args.source === 'choose') {
      return text(args.path) || null;
    }
    return args.source
      ? selectedPath(documents, args.source === 'folder')
      : currentPath(documents, app.shell.currentWidget);
  };

  commands.addCommand(CommandIDs.submit, {
    label: args =>
      args.source === 'choose' ? trans.__('Submit as batch…') : trans.__('Submit as batch'),
    caption: trans.__('Run this file as a batch job, while you go on or after you have left'),
    icon: args => (args.isPalette ? undefined : submitIcon),
    // Where no file is meant, one can be chosen.
    isEnabled: args => args.source !== 'browser' || target(args) !== null,
    // The file browser's menu has one entry for all files; it shows for those that can run.
    isVisible: args => !args.source || args.source === 'choose' || target(args) !== null,
    describedBy: () => described(CommandIDs.submit),
    execute: async args => {
      const folder = args.source === 'folder';
      let path = target(args);
      if (!path || !(folder || isSupported(documents, path))) {
        const { choosePath } = await import('../../services/documents/choose');
        path = await choosePath(documents, path, text(args.cwd), trans);
        if (!path) {
          return;
        }
      }
      const { contents } = app.serviceManager;
      const unsaved = unsavedContexts(documents, path);
      if (unsaved[0]) {
        const { settleUnsaved } = await import('../../services/documents/unsaved');
        if (!(await settleUnsaved(unsaved, contents, trans))) {
          return;
        }
      }
      // A path of a real-time collaboration drive is still a file on the disk.
      await (await jobs.load()).openSubmit(contents.localPath(path), undefined, folder);
    }
  });

  commands.addCommand(CommandIDs.runFromHere, {
    label: trans.__('Run from here as batch'),
    isEnabled: () => !!documents.notebooks?.currentWidget,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async args => {
      // A right click makes no cell active.
      const cell = args.menu && app.contextMenuHitTest(node => node.matches('.jp-Cell'));
      await (await jobs.load()).runFromHere(documents.notebooks?.currentWidget, cell || null);
    }
  });

  commands.addCommand(CommandIDs.openJobs, {
    label: trans.__('Show batch jobs'),
    caption: trans.__('Show the list of batch jobs'),
    icon: args => (args.isPalette ? undefined : jobsIcon),
    describedBy: () => described(CommandIDs.openJobs),
    execute: args => jobs.show(text(args.id) || undefined)
  });

  commands.addCommand(CommandIDs.openOutput, {
    label: trans.__('Open output'),
    caption: trans.__('Open the result of a batch job'),
    describedBy: () => described(CommandIDs.openOutput),
    execute: async args => {
      const path = text(args.path);
      if (!path) {
        return;
      }
      await (
        await import('../../services/documents/open-output')
      ).openOutput(commands, documents, path, args);
    }
  });

  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel batch job'),
    caption: trans.__('Stop a batch job'),
    icon: stopIcon,
    describedBy: () => described(CommandIDs.cancel),
    execute: async args => {
      const id = text(args.id);
      if (id) {
        await (await jobs.load()).cancel(id);
      }
    }
  });
}
