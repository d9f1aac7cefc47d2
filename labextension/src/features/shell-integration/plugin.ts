/**
 * Where else people look for jobs: the launcher, the panel of running sessions, and a tab of the main area.
 *
 * At start-up each place is only announced; what it shows is loaded when somebody looks.
 */

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { type MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { jobsIcon } from '../../core/icons';
import { CommandIDs, DOMAIN, IJobs, type IJobsService, PluginIDs, tabId } from '../../core/tokens';

/** The panel of running sessions, and the search over them. */
const RUNNING = '.jp-RunningSessions, .jp-SearchableSessions';

export const places: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.places,
  description: 'Adds batch jobs to the launcher, to the running sessions and to the main area.',
  autoStart: true,
  requires: [IJobs],
  optional: [ILauncher, IRunningSessionManagers, ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    jobs: IJobs,
    launcher: ILauncher | null,
    running: IRunningSessionManagers | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const { commands, shell } = app;

    const tabs = new WidgetTracker<MainAreaWidget>({ namespace: 'aiinfn-tabs' });
    commands.addCommand(CommandIDs.openTab, {
      label: trans.__('Batch jobs'),
      caption: trans.__('Show batch jobs in a tab'),
      icon: jobsIcon,
      describedBy: async () => (await import('./command-args')).describe(CommandIDs.openTab, trans),
      execute: async args => {
        const job = typeof args.id === 'string' ? args.id : '';
        const id = tabId(job);
        const service = await jobs.load();
        let tab = tabs.find(each => each.id === id);
        if (!tab) {
          tab = await service.createTab(job);
          shell.add(tab, 'main');
          void tabs.add(tab);
        }
        shell.activateById(id);
        return tab;
      }
    });
    void restorer?.restore(tabs, {
      command: CommandIDs.openTab,
      args: tab => ({ id: tab.id.slice(tabId('').length) }),
      name: tab => tab.id
    });

    const category = trans.__('Batch jobs');
    launcher?.add({ command: CommandIDs.openTab, category, rank: 1 });
    launcher?.add({ command: CommandIDs.submit, args: { source: 'choose' }, category, rank: 2 });

    let service: IJobsService | null = null;
    const changed = new Signal<object, void>({});
    const load = async () => {
      if (!service) {
        service = await jobs.load();
        service.own.changed.connect(() => changed.emit());
      }
      return service;
    };
    const look = () => {
      // JupyterLab asks for the list at its start, too, when nobody sees it.
      const seen = [...document.querySelectorAll<HTMLElement>(RUNNING)].some(
        node => node.offsetParent
      );
      if (seen) {
        void load().then(found => found.own.refresh());
      }
    };
    running?.add({
      name: category,
      running: () => {
        setTimeout(look);
        return service?.runningItems() ?? [];
      },
      refreshRunning: () => void load().then(found => found.own.refresh(0)),
      shutdownAll: () => void load().then(found => found.cancelAll()),
      runningChanged: changed,
      shutdownLabel: trans.__('Cancel the job'),
      shutdownAllLabel: trans.__('Cancel all'),
      shutdownAllConfirmationText: trans.__(
        'All your jobs that wait or run are stopped. What they have written so far is kept.'
      )
    });
    if (running) {
      void app.restored.then(look);
    }
  }
};
