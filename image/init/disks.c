/*
 * The config disk (ISO 9660 or FAT with the label PTT) and the data disk (ext4 with the label ptt-data). A disk is
 * formatted only when the first and the last MiBs of it are all zero, and when it is the only such one: what holds
 * something, whatever it is, is left alone.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init.h"

#define CLOSED (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define CONFIG_LABEL "PTT"
#define DATA_LABEL "ptt-data"
/* Where file systems, volume managers and partition tables have their signatures, with room to spare. */
enum { LOOK_OCTETS = 4 << 20, SIGNATURE_OCTETS = 64 << 10, MAX_DISKS = 32 };
/* linux/ext4.h is not among the headers of the kernel for programs. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

enum content { OTHER, BLANK, CONFIG_ISO, CONFIG_FAT, DATA_EXT4 };
struct disk {
  char path[64];
  enum content content;
  uint64_t octets;
};

static bool mounted;

/* A label is padded with spaces or NULs. */
static bool labelled(const char *field, size_t size, const char *label) {
  size_t length = strlen(label);
  if (strncasecmp(field, label, length) != 0) return false;
  for (size_t at = length; at < size; at++)
    if (field[at] != ' ' && field[at] != '\0') return false;
  return true;
}

/* Eight octets at a time: it is megabytes of every disk. */
static bool all_zero(const char *octets, size_t size) {
  size_t at = 0;
  for (uint64_t word; at + sizeof word <= size; at += sizeof word) {
    memcpy(&word, octets + at, sizeof word);
    if (word != 0) return false;
  }
  for (; at < size; at++)
    if (octets[at] != 0) return false;
  return true;
}

static bool read_at(int file, char *octets, size_t size, uint64_t offset) {
  for (size_t have = 0; have < size;) {
    ssize_t got = pread(file, octets + have, size - have, (off_t)(offset + have));
    if (got <= 0) return false;
    have += (size_t)got;
  }
  return true;
}

static enum content look(struct disk *disk) {
  static char start[LOOK_OCTETS], end[LOOK_OCTETS];
  int file = open(disk->path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return OTHER;
  enum content content = OTHER;
  if (ioctl(file, BLKGETSIZE64, &disk->octets) == 0 && disk->octets > 0) {
    size_t size = disk->octets < LOOK_OCTETS ? (size_t)disk->octets : LOOK_OCTETS;
    /* What is looked at below is not to be of the disk before. */
    if (size < SIGNATURE_OCTETS) memset(start, 0, SIGNATURE_OCTETS);
    if (!read_at(file, start, size, 0) || !read_at(file, end, size, disk->octets - size)) {
      say(WARN, "disk", "%s cannot be read: it is left alone", disk->path);
    } else if (memcmp(start + 32769, "CD001", 5) == 0) {
      /* ECMA-119 §8.4: the volume identifier of the primary volume descriptor. */
      if (labelled(start + 32768 + 40, 32, CONFIG_LABEL)) content = CONFIG_ISO;
    } else if (memcmp(start + 54, "FAT1", 4) == 0) {
      if (labelled(start + 43, 11, CONFIG_LABEL)) content = CONFIG_FAT;
    } else if (memcmp(start + 82, "FAT32", 5) == 0) {
      if (labelled(start + 71, 11, CONFIG_LABEL)) content = CONFIG_FAT;
    } else if ((unsigned char)start[1080] == 0x53 && (unsigned char)start[1081] == 0xef) {
      if (labelled(start + 1024 + 120, 16, DATA_LABEL)) content = DATA_EXT4;
    } else if (all_zero(start, size) && all_zero(end, size)) {
      content = BLANK;
    }
  }
  close(file);
  return content;
}

static int compare(const void *one, const void *other) {
  return strcmp(((const struct disk *)one)->path, ((const struct disk *)other)->path);
}

static struct disk disks[MAX_DISKS];
static size_t count;

/* Whole disks, by name; not what the kernel makes up (loop, ram, zram). Each is looked at once. */
static void find_disks(void) {
  static const char *const kinds[] = {"vd", "sd", "nvme", "xvd", "sr"};
  DIR *folder = opendir("/sys/block");
  if (folder == NULL) return;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL && count < MAX_DISKS;)
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
      if (strncmp(entry->d_name, kinds[kind], strlen(kinds[kind])) == 0) {
        snprintf(disks[count].path, sizeof disks[count].path, "/run/dev/%.40s", entry->d_name);
        count++;
        break;
      }
  closedir(folder);
  qsort(disks, count, sizeof *disks, compare);
  for (size_t at = 0; at < count; at++) disks[at].content = look(&disks[at]);
}

static const char *short_name(const struct disk *disk) { return disk->path + strlen("/run/dev/"); }

void read_config_disk(void) {
  const struct disk *found = NULL;
  find_disks();
  for (size_t at = 0; at < count; at++) {
    if (disks[at].content != CONFIG_ISO && disks[at].content != CONFIG_FAT) continue;
    if (found != NULL) fail("%s and %s are both config disks (label " CONFIG_LABEL "): attach one", short_name(found), short_name(&disks[at]));
    found = &disks[at];
  }
  if (found == NULL) return;
  bool iso = found->content == CONFIG_ISO;
  if (mkdir("/run/config", 0700) != 0 ||
      mount(found->path, "/run/config", iso ? "iso9660" : "vfat", CLOSED | MS_RDONLY, iso ? NULL : "codepage=437,iocharset=ascii") != 0)
    fail("the config disk %s cannot be mounted: %s", short_name(found), strerror(errno));
  copy_tree("/run/config", SERVICE_HOME, 0);
  read_options_file("/run/config/options");
  if (umount("/run/config") != 0) fail("the config disk %s cannot be let go: %s", short_name(found), strerror(errno));
  rmdir("/run/config");
  say(INFO, "disk", "the configuration was read from %s", short_name(found));
}

static const struct disk *choose(enum content content, const char *what) {
  const struct disk *found = NULL;
  for (size_t at = 0; at < count; at++) {
    if (disks[at].content != content) continue;
    if (found != NULL) fail("%s and %s are both %s: attach one", short_name(found), short_name(&disks[at]), what);
    found = &disks[at];
  }
  return found;
}

static void check(const struct disk *disk) {
  int status = run((char *[]){"/usr/sbin/e2fsck", "-p", (char *)disk->path, NULL});
  /* e2fsck(8): 1 and 2 say that errors were corrected; what is above wants somebody who decides. */
  if (status < 0 || status >= 4)
    fail("the data disk %s has errors that e2fsck does not correct by itself (status %d): attach it to another machine and run e2fsck",
         short_name(disk), status);
}

/* The file system takes what the disk has grown by; the kernel does that while it is mounted. */
static void grow(const struct disk *disk) {
  struct statfs status;
  int folder = open(DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  if (fstatfs(folder, &status) == 0 && status.f_bsize > 0) {
    uint64_t blocks = disk->octets / (uint64_t)status.f_bsize;
    if (blocks > status.f_blocks + status.f_blocks / 8 && ioctl(folder, EXT4_IOC_RESIZE_FS, &blocks) != 0)
      say(WARN, "disk", "the data disk %s has grown, its file system has not: %s", short_name(disk), strerror(errno));
  }
  close(folder);
}

bool mount_data_disk(bool needed) {
  const struct disk *found = choose(DATA_EXT4, "data disks (label " DATA_LABEL ")");
  if (found == NULL && (found = choose(BLANK, "blank, and no disk is labelled " DATA_LABEL)) != NULL) {
    say(INFO, "disk", "%s is blank: it is formatted", short_name(found));
    int status = run((char *[]){"/usr/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", DATA_LABEL, (char *)found->path, NULL});
    if (status != 0) fail("%s could not be formatted (mke2fs: status %d)", short_name(found), status);
  } else if (found != NULL) {
    check(found);
  }
  if (found == NULL) {
    if (needed)
      fail("there is no data disk: mail would be lost with the machine. Attach a blank disk (it is formatted), or one with an ext4 "
           "file system labelled " DATA_LABEL);
    return false;
  }
  /* After an error of the disk nothing more is written: the service answers 451 and loses nothing. */
  if (mount(found->path, DATA, "ext4", CLOSED | MS_NOATIME, "errors=remount-ro") != 0)
    fail("the data disk %s cannot be mounted: %s", short_name(found), strerror(errno));
  mounted = true;
  grow(found);
  if (chown(DATA, SERVICE_ID, SERVICE_ID) != 0 || chmod(DATA, 0700) != 0) fail(DATA ": %s", strerror(errno));
  say(INFO, "disk", "%s is the data disk, %llu MiB", short_name(found), (unsigned long long)(found->octets >> 20));
  return true;
}

void unmount_data_disk(void) {
  if (!mounted) return;
  mounted = false;
  /* What was killed a moment ago may hold it for another moment. */
  for (int attempt = 0; attempt < 50 && umount(DATA) != 0; attempt++) usleep(20000);
}
