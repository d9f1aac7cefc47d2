/** Fills the dialog with what a job had, so that it runs again with something changed. */

import type { Api } from '../../core/api';
import { descriptions } from '../../core/descriptions';
import { inputOf } from '../../core/parameters';
import type { IJob } from '../../core/types';
import type { IRuns } from './folder';
import type { SubmitForm } from './form';
import { inUnit } from './values';

/**
 * Take the choices, descriptions, labels, and the parameters or arguments of a job over into a form that is loaded; of a sweep
 * its points, too.
 */
export async function prefill(form: SubmitForm, job: IJob, api: Api): Promise<void> {
  const { accelerator, count, image, project, queue, size } = job;
  form.select({ project, queue, accelerator, count, image, size });
  for (const parameter of form.inspection?.parameters ?? []) {
    const value = job.work.parameters[parameter.name];
    if (value !== undefined) {
      form.setInput(parameter.name, inputOf(parameter, value));
    }
  }
  const texts = descriptions(form.trans).map(({ key }) => [key, String(job[key] ?? '')]);
  form.write(Object.fromEntries(texts) as { [key: string]: string });
  if (job.name === form.inspection?.name) {
    form.write({ name: '' });
  }
  form.set({
    labels: job.labels.join(', '),
    argumentLine: job.work.arguments.map(quoted).join(' '),
    ...inUnit(job.time_limit)
  });
  const { kind, parameters = [] } = form.inspection ?? {};
  if (job.sweep && (kind === 'script' || parameters.length)) {
    // The dialog sends nothing beside the points that a notebook could take.
    const common = kind === 'notebook' ? job.work.parameters : {};
    const reading = api.points(job.id);
    await form.sweep.restore(
      reading.then(points => points.map(point => ({ ...common, ...point.parameters }))),
      job.sweep.parallelism
    );
  }
}

/** What ran in a folder; undefined for a job without one. */
export function runs({ work: { command, folder, path } }: IJob): IRuns | undefined {
  if (!folder) {
    return undefined;
  }
  return command ? { command } : { program: path.slice(folder.length + 1) };
}

/** Write an argument so that the dialog reads it as one. */
function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
