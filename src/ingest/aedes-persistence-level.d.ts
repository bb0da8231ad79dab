/**
 * The package ships no types; `new` takes an abstract-level database and gives an aedes
 * persistence.
 */
declare module 'aedes-persistence-level/asyncPersistence.js' {
  export default class AsyncLevelPersistence {
    constructor(db: object);
  }
}
