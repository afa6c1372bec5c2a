// @ts-check
/** The one error that the page shows to a visitor: what happened, and what to do about it. */

export class PageError extends Error {
  /**
   * @param {string} message what happened with which value, and what was expected
   * @param {string} hint what the visitor can do, one sentence
   */
  constructor(message, hint) {
    super(message);
    this.name = "PageError";
    this.hint = hint;
  }
}

/**
 * What to show of anything that was thrown.
 * @param {unknown} error
 * @returns {{message: string, hint: string}}
 */
export function shownError(error) {
  if (error instanceof PageError) return { message: error.message, hint: error.hint };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { message, hint: "Reload the page, or try a current version of this browser." };
}
