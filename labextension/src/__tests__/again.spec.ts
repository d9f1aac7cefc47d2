import type { Contents } from '@jupyterlab/services';

import { takeOver } from '../submit/again';
import { SubmitForm } from '../submit/form';
import { splitArguments } from '../submit/values';
import type { ISubmission } from '../types';
import { FakeServer, makeJob, NOTEBOOK, PLATFORM, STATUS, trans } from './server';

describe('takeOver', () => {
  const job = makeJob('old', {
    name: 'The fit',
    labels: ['paper-2026'],
    accelerator: 'v70',
    image: 'fpga',
    count: 1,
    time_limit: 5400,
    work: {
      kind: 'notebook',
      path: 'train.ipynb',
      snapshot: 's',
      kernel: 'python3',
      parameters: { epochs: 50, shuffle: false },
      arguments: ['--name', "it's one", 'a b', '']
    }
  });

  it('fills in what the job had, and what it did not say stays as the notebook says', async () => {
    const sent: ISubmission[] = [];
    const server = new FakeServer(({ path, method, body }) => {
      if (method === 'POST') {
        sent.push(JSON.parse(body) as ISubmission);
        return { body: { sentence: 'Starts now.', ahead: 0 } };
      }
      return { body: { status: STATUS, inspect: NOTEBOOK, platform: PLATFORM }[path] };
    });
    const form = new SubmitForm({
      api: server.api,
      contents: {} as Contents.IManager,
      trans,
      path: 'train.ipynb',
      readPlatform: () => Promise.resolve(PLATFORM)
    });
    await form.load();
    takeOver(form, job);
    expect(form.selection).toMatchObject({ accelerator: 'v70', image: 'fpga', size: 'small' });
    expect(form.inputs).toEqual({ epochs: '50', shuffle: false });
    expect([form.name, form.amount, form.unit]).toEqual(['The fit', '90', 'minutes']);
    expect(splitArguments(form.argumentLine)).toEqual(job.work.arguments);
    await form.submit();
    expect(sent[sent.length - 1]).toMatchObject({
      name: 'The fit',
      labels: ['paper-2026'],
      time_limit: 5400,
      parameters: { epochs: 50, shuffle: false }
    });
    form.dispose();
  });
});
