/** The version of this front end, from the one place where it is kept. */

import { version } from '../../package.json';

/** It must be the Python package's. */
export const VERSION = version;
