/** Icons of the extension; they take their colours from the theme. */

import { LabIcon } from '@jupyterlab/ui-components';

const svg = (body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">${body}</svg>`;

/** A notebook that leaves for the queue. */
export const submitIcon = new LabIcon({
  name: 'aiinfn:submit',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M3 4h12v2H3zM3 9h8v2H3zM3 14h6v2H3zM15 9l7 5.5-7 5.5v-4h-4v-3h4z"/>'
  )
});

/** Rows of a list, the first of which runs. */
export const jobsIcon = new LabIcon({
  name: 'aiinfn:jobs',
  svgstr: svg(
    '<path class="jp-icon3 jp-icon-selectable" fill="#616161" d="M3 4l6 4-6 4zM11 7h10v2H11zM3 14h18v2H3zM3 19h18v2H3z"/>'
  )
});
