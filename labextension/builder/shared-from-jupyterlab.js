const { Compilation, sources } = require('@rspack/core');

const NAME = 'SharedFromJupyterLab';
/** What the bundler writes of a package that the host always brings: never bundled, never strict. */
const DATA =
  /, import: null, requiredVersion: (?:"[^"]*"|null), strictVersion: false, singleton: (true|false), eager: false, fallback: undefined, treeShakingMode: null/g;

/**
 * Leave out of the container's runtime what it never does here.
 *
 * Every package that is shared is JupyterLab's own, in one version. The runtime would compare it with the range in
 * package.json, and at most write a warning into the browser's console; for that it reads ranges of all kinds, fallbacks
 * and strict versions. JupyterLab compares the ranges itself when it lists its extensions.
 */
module.exports = class SharedFromJupyterLab {
  apply(compiler) {
    compiler.hooks.thisCompilation.tap(NAME, compilation => {
      const stage = Compilation.PROCESS_ASSETS_STAGE_ADDITIONS;
      compilation.hooks.processAssets.tap({ name: NAME, stage }, assets => {
        for (const name of Object.keys(assets).filter(name => name.startsWith('remoteEntry.'))) {
          compilation.updateAsset(
            name,
            old => new sources.RawSource(reduced(String(old.source())))
          );
        }
      });
    });
  }
};

/** What reads ranges and fallbacks, and the two functions that call themselves: the minifier leaves out what is not called. */
const UNUSED = {
  'data.requiredVersion': 'undefined',
  'data.fallback': 'undefined',
  ': rangeToString(item)': ': item',
  'satisfy(item, version)': 'item'
};

function reduced(code) {
  const shared = code.match(/shareKey: "/g)?.length;
  const known = code.match(DATA)?.length;
  if (!shared || shared !== known || !Object.keys(UNUSED).every(text => code.includes(text))) {
    throw new Error(
      `${known} of ${shared} shared packages are as builder/shared-from-jupyterlab.js expects: it is to be adapted`
    );
  }
  return Object.entries(UNUSED).reduce(
    (text, [read, instead]) => text.replaceAll(read, instead),
    code.replace(DATA, ', singleton: $1')
  );
}
