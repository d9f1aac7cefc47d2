/**
 * The plugins. What they do is loaded when it is first needed: at start-up they only register commands and a side bar.
 */

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { IEditorTracker } from '@jupyterlab/fileeditor';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { jobsIcon } from './core/icons';
import { CommandIDs, DOMAIN, IJobs, PANEL_ID, PluginIDs } from './core/tokens';
import { JobsSidebar } from './features/jobs-panel/sidebar';
import { kernels, session } from './features/session/plugin';
import { addCommands } from './features/shell-integration/commands';
import { places } from './features/shell-integration/plugin';

/** Third parties' place in the side bar. */
const SIDEBAR_RANK = 600;
/** Of `FOLLOWED_KEY` in services/memory.ts, which is not loaded yet. */
const FOLLOWED_KEY = 'aiinfn:followed';

const jobs: JupyterFrontEndPlugin<IJobs> = {
  id: PluginIDs.jobs,
  description: 'Provides the batch jobs of the signed-in person.',
  autoStart: true,
  provides: IJobs,
  optional: [ISettingRegistry, IStateDB, IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry | null,
    state: IStateDB | null,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): IJobs => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const followed = async (): Promise<string[]> => {
      const ids = await state?.fetch(FOLLOWED_KEY).catch(() => undefined);
      return Array.isArray(ids) ? ids.filter((id): id is string => typeof id === 'string') : [];
    };
    const create = () => {
      // Read while the chunk is fetched.
      const settings = registry?.load(PluginIDs.commands).catch(() => null) ?? null;
      const ids = followed();
      const { commands, serviceManager } = app;
      const { contents, serverSettings } = serviceManager;
      const language = translator?.languageCode;
      return import('./app').then(({ createService }) =>
        createService({
          serverSettings,
          contents,
          commands,
          trans,
          language,
          settings,
          state,
          statusBar,
          followed: ids
        })
      );
    };
    let loading: ReturnType<IJobs['load']> | null = null;
    const load: IJobs['load'] = () => {
      loading ??= create().catch(error => {
        // A chunk that did not arrive may arrive next time.
        loading = null;
        throw error;
      });
      return loading;
    };
    // A job that was submitted before the page was reloaded is still followed; nobody waits for this.
    void app.restored
      .then(followed)
      .then(ids => (ids.length ? load() : null))
      .catch(error => console.warn('Batch jobs are not followed', error));
    return { load, show: () => undefined };
  }
};

const commands: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.commands,
  description: 'Adds the commands that submit, show and cancel batch jobs.',
  autoStart: true,
  requires: [IJobs],
  optional: [INotebookTracker, IEditorTracker, IDefaultFileBrowser, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    service: IJobs,
    notebooks: INotebookTracker | null,
    editors: IEditorTracker | null,
    browser: IDefaultFileBrowser | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const { contents } = app.serviceManager;
    addCommands({
      app,
      jobs: service,
      trans,
      documents: { contents, notebooks, editors, browser }
    });
    for (const command of [
      CommandIDs.submit,
      CommandIDs.runFromHere,
      CommandIDs.openJobs,
      CommandIDs.openTab
    ]) {
      palette?.addItem({ command, category: trans.__('Batch jobs') });
    }
  }
};

const panel: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.panel,
  description: 'Adds the panel of batch jobs to the left side bar.',
  autoStart: true,
  requires: [IJobs],
  optional: [ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    service: IJobs,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const sidebar = new JobsSidebar(service, trans);
    sidebar.id = PANEL_ID;
    sidebar.title.icon = jobsIcon;
    sidebar.title.caption = trans.__('Batch jobs');
    app.shell.add(sidebar, 'left', { rank: SIDEBAR_RANK, type: 'Batch jobs' });
    restorer?.add(sidebar, PANEL_ID);
    // Who points at the icon is about to press it.
    void app.restored.then(() =>
      document
        .querySelector(`.lm-TabBar-tab[data-id="${PANEL_ID}"]`)
        ?.addEventListener('pointerenter', () => void sidebar.prepare(), { once: true })
    );
    service.show = job => {
      app.shell.activateById(PANEL_ID);
      if (job) {
        sidebar.reveal(job);
      }
    };
  }
};

const plugins: JupyterFrontEndPlugin<unknown>[] = [jobs, commands, panel, places, session, kernels];

export default plugins;
