const path = require('path');
const { rspack } = require('@rspack/core');
const SharedFromJupyterLab = require('./shared-from-jupyterlab');

// What JupyterLab fetches at every start is the container's runtime and the plugins: both are made as small as can be.
module.exports = {
  target: ['web', 'es2022'],
  output: {
    // The query lets the server have it cached.
    chunkFilename: '[id].[contenthash:8].js?v=1'
  },
  // Types are checked by `jlpm types`: what is built needs no other package's, so none is installed for it.
  module: {
    rules: [
      {
        test: /\.tsx?$/,
        loader: 'builtin:swc-loader',
        options: {
          jsc: {
            parser: { syntax: 'typescript', tsx: true },
            target: 'es2022',
            transform: { react: { runtime: 'classic' } }
          }
        },
        type: 'javascript/auto'
      },
      { test: /\.svg$/, issuer: /\.tsx?$/, type: 'asset/source' }
    ]
  },
  resolve: { extensions: ['.ts', '.tsx', '.js'] },
  resolveLoader: { modules: [path.join(__dirname, 'node_modules')] },
  plugins: [new SharedFromJupyterLab()],
  optimization: {
    minimizer: [
      new rspack.SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          ecma: 2020,
          compress: { passes: 6, ecma: 2020, unsafe_arrows: true, keep_fargs: false },
          format: { ecma: 2020, comments: false }
        }
      })
    ]
  }
};
