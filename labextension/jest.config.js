const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const base = jestJupyterLab(__dirname);

module.exports = {
  ...base,
  reporters: ['default'],
  modulePathIgnorePatterns: ['<rootDir>/lib/', '<rootDir>/../aiinfn_lab/'],
  testRegex: 'src/__tests__/.*\\.spec\\.tsx?$'
};
