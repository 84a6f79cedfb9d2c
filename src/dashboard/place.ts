// Where the page stands, as the first part of its path says. It holds for as long as the page is loaded: another
// environment is another page, with feeds and answers of its own.

const [, first = ''] = window.location.pathname.split('/');

/** Shown in a frame of another product, by a browser token. */
export const IS_EMBEDDED = first === 'embed';

/** The environment that the operator chose; null: the default one, or that of the key. */
export const ENVIRONMENT_ID = /^env_[0-9a-z]{26}$/.test(first) ? first : null;

/** What the paths of pages are below, without a slash at its end. */
export const BASE_PATH = IS_EMBEDDED || ENVIRONMENT_ID !== null ? `/${first}` : '';
