import { Notification } from '@jupyterlab/apputils';
import { CommandRegistry } from '@lumino/commands';

import { Notifier } from '../services/notifier';
import { makeJob, trans } from './server';

const messages = () => Notification.manager.notifications.map(each => each.message);

describe('Notifier', () => {
  let notifier: Notifier;
  beforeEach(() => {
    Notification.manager.dismiss();
    notifier = new Notifier(new CommandRegistry(), trans);
  });

  it('keeps one notification for a job, from its submission to its end', () => {
    notifier.submitted(makeJob('a'));
    const [{ id }] = Notification.manager.notifications;
    const seen: string[] = [];
    for (const job of [
      makeJob('a', { state: 'starting', attempt: 1 }),
      makeJob('a', { state: 'running', attempt: 1 }),
      makeJob('a', { state: 'queued', cause: 'preempted', sentence: 'Made room.', attempt: 1 }),
      makeJob('a', { state: 'running', attempt: 2 })
    ]) {
      notifier.changed(job);
      seen.push(...messages());
    }
    notifier.ended(makeJob('a', { state: 'succeeded', attempt: 2 }));
    expect(seen).toEqual([
      '“a.ipynb” is starting.',
      '“a.ipynb” is running.',
      '“a.ipynb”: Made room.',
      '“a.ipynb” is running.'
    ]);
    expect(messages()).toEqual(['“a.ipynb” succeeded.']);
    expect(Notification.manager.notifications[0].id).toBe(id);
  });

  it('disturbs only the first time that a job waits again', () => {
    notifier.submitted(makeJob('a'));
    const closes = () => Notification.manager.notifications[0].options.autoClose;
    notifier.changed(makeJob('a', { state: 'running' }));
    expect(closes()).toBe(0);
    notifier.changed(makeJob('a', { state: 'queued', cause: 'preempted' }));
    expect(closes()).toBeGreaterThan(0);
    notifier.changed(makeJob('a', { state: 'running' }));
    notifier.changed(makeJob('a', { state: 'queued', cause: 'preempted' }));
    expect(closes()).toBe(0);
  });

  it('does not bring back what was dismissed, but tells the end', () => {
    notifier.submitted(makeJob('a'));
    Notification.manager.dismiss();
    notifier.changed(makeJob('a', { state: 'running' }));
    expect(messages()).toEqual([]);
    notifier.ended(makeJob('a', { state: 'cancelled' }));
    expect(messages()).toEqual(['“a.ipynb” was cancelled.']);
  });

  it('makes one notification for a job that was submitted before the page was reloaded', () => {
    notifier.changed(makeJob('a', { state: 'running' }));
    expect(messages()).toEqual([]);
    notifier.changed(makeJob('a', { state: 'queued', cause: 'preempted', sentence: 'Waits.' }));
    notifier.ended(makeJob('a', { state: 'succeeded' }));
    expect(messages()).toEqual(['“a.ipynb” succeeded.']);
  });

  it('leaves nothing behind that spins when it is switched off meanwhile', () => {
    notifier.submitted(makeJob('a'));
    notifier.about = 'none';
    notifier.changed(makeJob('a', { state: 'running' }));
    notifier.ended(makeJob('a', { state: 'succeeded' }));
    expect(messages()).toEqual([]);
  });

  it('is silent about a sweep that waits for a moment', () => {
    const sweep = {
      points: 100,
      parallelism: 8,
      queued: 90,
      starting: 0,
      running: 0,
      succeeded: 10,
      failed: 0,
      cancelled: 0
    };
    notifier.submitted(makeJob('a', { sweep }));
    notifier.changed(makeJob('a', { sweep, state: 'running' }));
    notifier.changed(makeJob('a', { sweep, state: 'queued', sentence: 'Waiting: 10 of 100.' }));
    expect(Notification.manager.notifications[0].options.autoClose).toBe(0);
    expect(messages()).toEqual(['“a.ipynb”: Waiting: 10 of 100.']);
  });
});
