/**
 * The time that is left, in the status bar, and which kernels are left out.
 *
 * The server writes both into the page, so nothing is asked at start-up, and what follows the clock is loaded later.
 */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { clock, timeLeft } from '../../core/time-left';
import { CommandIDs, DOMAIN, PluginIDs } from '../../core/tokens';
import { makeItem } from '../../core/ui/status-item';
import type { SessionClock } from './clock';

/** Milliseconds after which what follows the clock is loaded. */
const LATER = 10_000;

/** What the server knew when it made the page. */
export function readPage(): { end: number; certainUntil: number } | null {
  try {
    const known = JSON.parse(PageConfig.getOption('aiinfnSession')) as Record<string, string>;
    const end = Date.parse(known.end);
    // Of a session that cannot be extended it is certain, and looked at again just before the warning.
    return end ? { end, certainUntil: Date.parse(known.certainUntil) || end - 15 * 60_000 } : null;
  } catch {
    return null;
  }
}

export const kernels: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.kernels,
  description: 'Says which kernels are not offered on a machine that is shared.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null): void => {
    const known = PageConfig.getOption('aiinfnKernelsLeftOut');
    if (known) {
      const trans = (translator ?? nullTranslator).load(DOMAIN);
      void app.restored
        .then(() => import('./kernels'))
        .then(({ readLeftOut, tellLeftOut }) => tellLeftOut(readLeftOut(known), trans))
        .catch(error => console.warn('Kernels that are not offered are not told', error));
    }
  }
};

export const session: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.session,
  description: 'Shows how much time the session has left, warns before its end, and extends it.',
  autoStart: true,
  optional: [IStatusBar, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    bar: IStatusBar | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const known = readPage();
    if (!known) {
      return;
    }
    const { commands, serviceManager } = app;
    const { end, certainUntil } = known;
    const command = CommandIDs.sessionTime;
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const statusItem = makeItem('aiinfn-SessionTime', () => void commands.execute(command));
    statusItem.button.textContent = timeLeft(end - Date.now(), trans);
    statusItem.button.title = trans.__('This session ends at %1 at the latest', clock(end));

    let loading: Promise<SessionClock> | null = null;
    const load = () => {
      loading ??= import('./clock')
        .then(
          ({ SessionClock }) =>
            new SessionClock({
              settings: serviceManager.serverSettings,
              commands,
              trans,
              language: translator?.languageCode,
              statusItem,
              end,
              certainUntil
            })
        )
        .catch(error => {
          // A chunk that did not arrive may arrive next time.
          loading = null;
          throw error;
        });
      return loading;
    };
    const begin = (): void => void load().catch(() => setTimeout(begin, LATER));

    commands.addCommand(command, {
      label: trans.__('Time left of this session'),
      caption: trans.__('Tell when this session ends, and extend it'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => (await load()).show()
    });
    palette?.addItem({ command, category: trans.__('Session') });
    bar?.registerStatusItem(PluginIDs.session, {
      item: statusItem.item,
      align: 'right',
      rank: 600
    });
    // Not before JupyterLab is there: near the end a look is a request.
    void app.restored.then(() => setTimeout(begin, Date.now() < certainUntil ? LATER : 0));
  }
};
