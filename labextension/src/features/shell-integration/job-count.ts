/** How many jobs run and wait, in the status bar; nothing while there are none. */

import type { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { CommandIDs, type IOwnJobs } from '../../core/tokens';
import type { IJob } from '../../core/types';
import { makeItem } from '../../core/ui/status-item';
import { waits } from '../../services/own-jobs';

/** Left of the time that the session has. */
const RANK = 601;

/** "2 running, 1 waiting"; empty without jobs. */
export function countWords(jobs: readonly IJob[], trans: TranslationBundle): string {
  const waiting = jobs.filter(waits).length;
  const running = jobs.length - waiting;
  const parts = [];
  if (running) {
    parts.push(trans._n('%1 running', '%1 running', running));
  }
  if (waiting) {
    parts.push(trans._n('%1 waiting', '%1 waiting', waiting));
  }
  return parts.join(', ');
}

/** Put the count into the status bar. */
export function addStatus(
  bar: IStatusBar,
  own: IOwnJobs,
  commands: CommandRegistry,
  trans: TranslationBundle
): void {
  const { item, button } = makeItem(
    'aiinfn-JobCount',
    () => void commands.execute(CommandIDs.openJobs)
  );
  button.title = trans.__('Show batch jobs');
  const draw = () => {
    const words = countWords(own.list, trans);
    if (button.textContent !== words) {
      button.textContent = words;
      // The number alone says nothing to who cannot see where it stands.
      button.setAttribute('aria-label', trans.__('Batch jobs: %1', words));
    }
  };
  own.changed.connect(draw);
  draw();
  bar.registerStatusItem('@aiinfn/labextension:jobs', {
    item,
    align: 'right',
    rank: RANK,
    isActive: () => own.counting && own.list.length > 0,
    activeStateChanged: own.changed
  });
}
