// The address that this file was loaded from: tabs start their shared worker from it.

export const OWN_URL = import.meta.url;
