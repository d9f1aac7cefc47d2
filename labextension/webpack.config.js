const { rspack } = require('@rspack/core');

// What JupyterLab fetches at every start is the container's runtime and the plugins: both are made as small as can be.
module.exports = {
  target: ['web', 'es2022'],
  output: {
    // The query lets the server have it cached.
    chunkFilename: '[id].[contenthash:8].js?v=1'
  },
  optimization: {
    minimizer: [
      new rspack.SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          ecma: 2020,
          compress: { passes: 3, ecma: 2020, unsafe_arrows: true, keep_fargs: false },
          format: { ecma: 2020, comments: false }
        }
      })
    ]
  }
};
