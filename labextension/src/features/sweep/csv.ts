/** The table of a sweep as a file. */

import { PathExt } from '@jupyterlab/coreutils';

import type { IJobsService } from '../../core/tokens';
import type { IJob } from '../../core/types';

/** Name of the table in the folder of its sweep. */
const NAME = 'points.csv';

/**
 * Save the table in the folder of the sweep; download it where there is none, e.g. of another person's sweep.
 *
 * @returns The path of the file, or null when it was downloaded.
 */
export async function saveCsv({ api, contents }: IJobsService, job: IJob): Promise<string | null> {
  const text = await api.pointsAsCsv(job.id);
  const folder = job.lab?.output;
  if (folder && job.lab?.output_exists) {
    const path = PathExt.join(folder, NAME);
    try {
      await contents.save(path, { type: 'file', format: 'text', content: text });
      return path;
    } catch (error) {
      console.warn('The table was not saved in the home', error);
    }
  }
  download(text, `${PathExt.basename(job.output)}.csv`);
  return null;
}

function download(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
