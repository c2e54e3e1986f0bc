// Makes dist/ of src/, for a script tag and for import: `npm ci && npm run build`. What it makes is kept beside the
// sources, so that a server needs no Node; a test sees that it is of these sources.
//
// esbuild joins the modules and takes private names apart from the rest, terser makes the result smaller by 500 bytes more.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { minify } from "terser";

const HERE = import.meta.dirname;
const { version } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8"));
const HEAD = `/*! MegaComet ${version}, MIT license. Source: clients/js/src of MegaComet. */`;

const MODULE = 'export * from "./index.js";';
const SCRIPT = 'import { MegaComet, VERSION } from "./index.js"; globalThis.MegaComet = Object.assign(MegaComet, { VERSION });';

// Of a script import.meta tells nothing; in a worker there is no document, and in Node no location.
const ownUrl = {
  name: "own-url",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\bown_url\.js$/ }, () => ({
      contents: "export const OWN_URL = globalThis.document ? document.currentScript?.src : globalThis.location?.href;",
    })),
};

async function made(contents, format, plugins = []) {
  const options = { bundle: true, minify: true, target: "es2022", write: false, logLevel: "error" };
  const { outputFiles } = await build({ ...options, stdin: { contents, resolveDir: join(HERE, "src") }, format, plugins });
  const { code } = await minify(outputFiles[0].text, { ecma: 2020, module: format === "esm", toplevel: true, compress: { passes: 3 } });
  return `${HEAD}\n${code}\n`;
}

const to = process.argv[2] ?? join(HERE, "dist");
await writeFile(join(to, "megacomet.mjs"), await made(MODULE, "esm"));
await writeFile(join(to, "megacomet.js"), await made(SCRIPT, "iife", [ownUrl]));
