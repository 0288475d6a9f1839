// Rules being written: kept while one goes from the editor to a back-test and back.

class Draft {
  /** Null while nothing was changed. */
  text = $state<string | null>(null);
}

export const draft = new Draft();
