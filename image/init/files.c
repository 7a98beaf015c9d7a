/* Files and programs, as init needs them. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

enum { MAX_DEPTH = 8 };

long read_file(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  size_t length = 0;
  while (length + 1 < size) {
    ssize_t got = read(file, text + length, size - 1 - length);
    if (got <= 0) break;
    length += (size_t)got;
  }
  close(file);
  text[length] = '\0';
  return (long)length;
}

bool write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return false;
  size_t length = strlen(text);
  bool whole = write(file, text, length) == (ssize_t)length;
  return close(file) == 0 && whole;
}

void write_for_service(const char *path, const char *text) {
  if (!write_file(path, text) || chown(path, SERVICE_ID, SERVICE_ID) != 0 || chmod(path, 0600) != 0)
    fail("%s: %s", path, strerror(errno));
}

static void copy_file(const char *from, const char *to) {
  int source = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (source < 0 || target < 0) fail("%s of the config disk cannot be copied: %s", from, strerror(errno));
  char octets[65536];
  ssize_t got;
  while ((got = read(source, octets, sizeof octets)) > 0)
    if (write(target, octets, (size_t)got) != got) fail("%s: %s: is the config disk too large?", to, strerror(errno));
  if (got < 0) fail("%s of the config disk cannot be read: %s", from, strerror(errno));
  if (fchown(target, SERVICE_ID, SERVICE_ID) != 0) fail("%s: %s", to, strerror(errno));
  close(source);
  close(target);
}

/* Files and folders; of what else there may be, nothing. */
void copy_tree(const char *from, const char *to, int depth) {
  if (depth > MAX_DEPTH) fail("%s: the config disk has folders in folders too deep", from);
  DIR *folder = opendir(from);
  if (folder == NULL) fail("%s of the config disk cannot be read: %s", from, strerror(errno));
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char source[PATH_MAX], target[PATH_MAX];
    if (snprintf(source, sizeof source, "%s/%s", from, entry->d_name) >= (int)sizeof source ||
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name) >= (int)sizeof target)
      fail("%s: a name on the config disk is too long", from);
    struct stat status;
    if (lstat(source, &status) != 0) fail("%s: %s", source, strerror(errno));
    if (S_ISDIR(status.st_mode)) {
      if (mkdir(target, 0700) != 0 || chown(target, SERVICE_ID, SERVICE_ID) != 0)
        fail("%s: %s", target, strerror(errno));
      copy_tree(source, target, depth + 1);
    } else if (S_ISREG(status.st_mode)) {
      copy_file(source, target);
    }
  }
  closedir(folder);
}

int run(char *const arguments[]) {
  pid_t child = fork();
  if (child == 0) {
    dup2(console(), STDOUT_FILENO);
    dup2(console(), STDERR_FILENO);
    char *const environment[] = {"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", NULL};
    execve(arguments[0], arguments, environment);
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
