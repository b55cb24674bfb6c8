// Bundles the browser's side into web/static/ and writes web/static/manifest.json, which maps each name that a page
// asks for ("app.css") to the file of this build ("app-3K7QZB2M.css"). The name carries a hash of the content, so
// pages may be told to keep the file for ever.
import { readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = dirname(fileURLToPath(import.meta.url));
const target = join(source, "..", "static");

const { metafile } = await build({
  entryPoints: ["app.css", "app.js", "viewer.js", "wecom.js"].map((name) => join(source, name)),
  outdir: target,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  metafile: true,
  format: "iife",
  target: "es2020",
  charset: "utf8",
  legalComments: "linked",
  loader: { ".svg": "file", ".png": "file", ".woff": "file", ".woff2": "file" },
  logLevel: "warning",
});

const built = Object.keys(metafile.outputs).map((path) => basename(path));
const bundles = built.filter((file) => /^\w+-[0-9A-Z]{8}\.(css|js)$/.test(file));
const manifest = Object.fromEntries(bundles.map((file) => [file.replace(/-[0-9A-Z]{8}\./, "."), file]).sort());

// The manifest comes last and the files of earlier builds go only then: a page read meanwhile finds all it names.
await writeFile(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
for (const file of await readdir(target)) {
  if (file !== "manifest.json" && !built.includes(file)) await rm(join(target, file));
}
