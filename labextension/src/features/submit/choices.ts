/** What may be chosen together: the platform's offer as dependent lists. No React. */

import type { ISelection } from '../../core/tokens';
import type {
  IAccelerator,
  IChoice,
  IPlatform,
  IProject,
  IQueue,
  ISession,
  ISize
} from '../../core/types';

/** Name of the choice without an accelerator. */
export const CPU_ONLY = 'none';

/** What goes with a selection. */
export interface IOffer {
  projects: IProject[];
  /** Whether a queue takes jobs without an accelerator. */
  cpuOnly: boolean;
  accelerators: IAccelerator[];
  queues: IQueue[];
  images: IChoice[];
  sizes: ISize[];
  maxCount: number;
  /** Seconds. */
  maxTime: number;
}

/** Give what may be chosen beside the project and accelerator of a selection. */
export function offer(platform: IPlatform, selection: ISelection): IOffer {
  const project = platform.projects.find(item => item.name === selection.project);
  const open = platform.queues.filter(queue => queue.projects.includes(selection.project));
  const served = new Set(open.flatMap(queue => queue.accelerators));
  const accelerator = platform.accelerators.find(item => item.name === selection.accelerator);
  const queues = open.filter(queue => queue.accelerators.includes(selection.accelerator));
  return {
    projects: platform.projects,
    cpuOnly: served.has(CPU_ONLY),
    accelerators: platform.accelerators.filter(
      item => project?.accelerators.includes(item.name) && served.has(item.name)
    ),
    queues,
    images: platform.images.filter(
      item =>
        project?.images.includes(item.name) &&
        (!accelerator || accelerator.images.includes(item.name))
    ),
    sizes: platform.sizes.filter(item => project?.sizes.includes(item.name)),
    maxCount: accelerator?.max_per_job ?? 0,
    maxTime: queues.find(queue => queue.name === selection.queue)?.max_time ?? 0
  };
}

/** Replace what does not go together by the nearest choice that does; the earlier field wins. */
export function settle(platform: IPlatform, selection: ISelection): ISelection {
  const result = { ...selection };
  result.project = pick(platform.projects, result.project);
  let now = offer(platform, result);
  if (result.accelerator === CPU_ONLY ? !now.cpuOnly : !has(now.accelerators, result.accelerator)) {
    result.accelerator = now.cpuOnly ? CPU_ONLY : (now.accelerators[0]?.name ?? CPU_ONLY);
  }
  now = offer(platform, result);
  result.queue = pick(now.queues, result.queue);
  result.image = pick(now.images, result.image);
  result.size = pick(now.sizes, result.size);
  result.count = now.maxCount ? Math.min(Math.max(1, result.count), now.maxCount) : 0;
  return result;
}

/** The first proposal: what the session has. */
export function initial(platform: IPlatform, session: ISession | null): ISelection {
  return settle(platform, {
    project: session?.project ?? '',
    accelerator: session?.accelerator ?? CPU_ONLY,
    count: session?.count ?? 1,
    queue: '',
    image: session?.image ?? '',
    size: session?.size ?? ''
  });
}

function has(choices: readonly IChoice[], name: string): boolean {
  return choices.some(choice => choice.name === name);
}

function pick(choices: readonly IChoice[], name: string): string {
  return has(choices, name) ? name : (choices[0]?.name ?? '');
}
