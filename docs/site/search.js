// Chinese has no spaces: the index holds single characters (`separator` in mkdocs.yml), and what is
// searched must have all of those that were typed. The search worker would ask for any of them.
const QUERY = 2; // the worker's type of such a message
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message?.type === QUERY) {
    message = { ...message, data: message.data.replace(/\p{sc=Han}/gu, " +$& ") };
  }
  return post.call(this, message, ...rest);
};
