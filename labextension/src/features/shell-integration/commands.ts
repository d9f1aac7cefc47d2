/** The commands behind toolbar, menus, palette, shortcut and notifications: their words; what they do is loaded. */

import { stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { jobsIcon, submitIcon } from '../../core/icons';
import { CommandIDs } from '../../core/tokens';
import { currentPath, selectedPath } from '../../services/documents/documents';
import type { ICommandOptions } from './command-actions';

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Register all commands. */
export function addCommands(options: ICommandOptions): void {
  const { app, jobs, trans, documents } = options;
  const { commands, shell } = app;

  const describedBy = (command: string) => async () =>
    (await import('./command-args')).describe(command, trans);

  const target = ({ path, source }: ReadonlyPartialJSONObject): string | null =>
    text(path) || source === 'choose'
      ? text(path) || null
      : source
        ? selectedPath(documents, source === 'folder')
        : currentPath(documents, shell.currentWidget);

  const execute = (command: string) => async (args: ReadonlyPartialJSONObject) => {
    // At once: what is in front may be another one when the chunk has arrived.
    const path = command === CommandIDs.submit ? target(args) : null;
    await (await import('./command-actions')).execute(command, args, path, options);
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
    describedBy: describedBy(CommandIDs.submit),
    execute: execute(CommandIDs.submit)
  });

  commands.addCommand(CommandIDs.runFromHere, {
    label: trans.__('Run from here as batch'),
    isEnabled: () => !!documents.notebooks?.currentWidget,
    describedBy: describedBy(CommandIDs.runFromHere),
    execute: execute(CommandIDs.runFromHere)
  });

  commands.addCommand(CommandIDs.openJobs, {
    label: trans.__('Show batch jobs'),
    caption: trans.__('Show the list of batch jobs'),
    icon: args => (args.isPalette ? undefined : jobsIcon),
    describedBy: describedBy(CommandIDs.openJobs),
    execute: args => jobs.show(text(args.id) || undefined)
  });

  commands.addCommand(CommandIDs.openOutput, {
    label: trans.__('Open output'),
    caption: trans.__('Open the result of a batch job'),
    describedBy: describedBy(CommandIDs.openOutput),
    execute: execute(CommandIDs.openOutput)
  });

  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel batch job'),
    caption: trans.__('Stop a batch job'),
    icon: stopIcon,
    describedBy: describedBy(CommandIDs.cancel),
    execute: execute(CommandIDs.cancel)
  });
}
