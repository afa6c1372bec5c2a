/** Rules for the page's JavaScript and for its tests: what a type checker does not see. */
const BROWSER = [
  ..."Blob ClipboardEvent DataTransfer DecompressionStream DragEvent File HTMLButtonElement".split(" "),
  ..."HTMLCanvasElement HTMLElement HTMLImageElement HTMLInputElement HTMLVideoElement ImageBitmap".split(" "),
  ..."ImageData Intl MessageChannel OffscreenCanvas Request URL Worker addEventListener atob btoa caches".split(" "),
  ..."createImageBitmap crypto document fetch globalThis location navigator performance postMessage".split(" "),
  ..."requestAnimationFrame self".split(" "),
];

export default [
  {
    files: ["pages/**/*.js", "**/*.mjs", "*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "module",
      globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])),
    },
    rules: {
      "array-callback-return": "error",
      complexity: ["error", 10],
      "consistent-return": "off", // the type checker's
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "max-len": ["error", { code: 120 }],
      "max-params": ["error", 4],
      "max-statements": ["error", 30],
      "no-console": "error",
      "no-constant-condition": "error",
      "no-dupe-keys": "error",
      "no-empty": "error",
      "no-eval": "error",
      "no-implicit-coercion": "error",
      "no-implied-eval": "error",
      "no-loss-of-precision": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "off",
      "no-redeclare": "error",
      "no-shadow": "error",
      "no-undef": "error",
      "no-unreachable": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": "error",
      "no-use-before-define": ["error", { functions: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "off",
      "require-atomic-updates": "off",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Text goes in by textContent." },
        { property: "outerHTML", message: "Text goes in by textContent." },
      ],
    },
  },
];
