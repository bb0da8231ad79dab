/* A flash that does not answer, or answers with an error, while a file is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_there(const char *variable) {
  const char *path = getenv(variable);
  return path != NULL && access(path, F_OK) == 0;
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
  while (is_there("HOLD_SYNC")) usleep(10000);
  if (is_there("FAIL_SYNC")) {
    errno = EIO;
    return -1;
  }
  return real(fd);
}
