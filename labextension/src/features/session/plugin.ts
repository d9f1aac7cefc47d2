/**
 * The time that is left, in the status bar.
 *
 * The server writes the end into the page, so nothing is asked at start-up. Until `certainUntil` nothing can put the end
 * off; what reads it again, warns and extends is loaded then, when somebody presses the item, or to see every now and then
 * whether the end came nearer, because the access was withdrawn.
 */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { clock, timeLeft } from '../../core/time-left';
import { CommandIDs, DOMAIN, PluginIDs } from '../../core/tokens';
import { makeItem } from '../../core/ui/status-item';
import type { SessionTimeout } from './timeout';

/** Milliseconds between two looks at the clock: a twentieth of the time that is left, within these. */
const TICK = { least: 1000, most: 20_000 };

/** Milliseconds between two such looks while the end is certain otherwise. */
const WITHDRAWN = 120_000;

const WARNING =
  'color:var(--jp-ui-inverse-font-color0);background:var(--jp-inverse-layout-color2);font-weight:600';

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

/** Kernels that the server does not offer because others could listen to them, by their titles. */
export function readLeftOut(): string[] {
  try {
    const known = JSON.parse(PageConfig.getOption('aiinfnKernelsLeftOut')) as { names?: unknown };
    return Array.isArray(known.names)
      ? known.names.filter((name): name is string => typeof name === 'string')
      : [];
  } catch {
    return [];
  }
}

export const kernels: JupyterFrontEndPlugin<void> = {
  id: PluginIDs.kernels,
  description: 'Says which kernels are not offered on a machine that is shared.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null): void => {
    const names = readLeftOut();
    if (names.length) {
      const trans = (translator ?? nullTranslator).load(DOMAIN);
      void app.restored
        .then(() => import('./kernels'))
        .then(({ tellLeftOut }) => tellLeftOut(names, trans))
        .catch(error => console.warn('Kernels that are not offered are not told', error));
    }
  }
};

/** Whether the hub is to be asked. */
export function asks(now: number, certainUntil: number, askedAt: number): boolean {
  return now >= certainUntil || now - askedAt >= WITHDRAWN;
}

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
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    let end = known.end;
    /** Added to this machine's clock it gives the hub's. */
    let offset = 0;
    let loading: Promise<SessionTimeout> | null = null;

    const { item, button } = makeItem(
      'aiinfn-SessionTime',
      () => void app.commands.execute(CommandIDs.sessionTime)
    );
    const draw = () => {
      const text = timeLeft(end - Date.now() - offset, trans);
      if (button.textContent !== text) {
        button.textContent = text;
      }
    };
    const told = (moment: number, clockOffset: number, warns: boolean) => {
      end = moment;
      offset = clockOffset;
      button.title = trans.__('This session ends at %1 at the latest', clock(end));
      item.toggleClass('aiinfn-mod-warning', warns);
      item.node.style.cssText = warns ? WARNING : '';
      draw();
    };
    const load = () => {
      loading ??= import('./timeout')
        .then(
          ({ SessionTimeout }) =>
            new SessionTimeout({
              settings: app.serviceManager.serverSettings,
              commands: app.commands,
              trans,
              language: translator?.languageCode,
              told,
              end
            })
        )
        .catch(error => {
          // A chunk that did not arrive may arrive next time.
          loading = null;
          throw error;
        });
      return loading;
    };
    let askedAt = Date.now() + offset;
    const look = (again = false) => {
      draw();
      const now = Date.now() + offset;
      if (asks(now, known.certainUntil, askedAt) && document.visibilityState === 'visible') {
        askedAt = now;
        void load()
          .then(keeper => keeper.look(again || now < known.certainUntil))
          .catch(error => console.warn('The time of the session is not known', error));
      }
    };

    app.commands.addCommand(CommandIDs.sessionTime, {
      label: trans.__('Time left of this session'),
      caption: trans.__('Tell when this session ends, and extend it'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => (await load()).show()
    });
    palette?.addItem({ command: CommandIDs.sessionTime, category: trans.__('Session') });
    bar?.registerStatusItem(PluginIDs.session, { item, align: 'right', rank: 600 });
    told(end, 0, false);
    // Not before JupyterLab is there: near the end a look is a request.
    void app.restored.then(() => {
      const tick = () => {
        look();
        const rest = (end - Date.now() - offset) / 20;
        setTimeout(tick, Math.min(TICK.most, Math.max(TICK.least, rest)));
      };
      tick();
      document.addEventListener('visibilitychange', () => look(true));
    });
  }
};
