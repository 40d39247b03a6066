/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/log.h"
#include "transfer/store_internal.h"

#define HEX_SIZE ((size_t)2 * SH_ITEM_ID_SIZE)

static bool is_ours(const char *name, const char *ending)
{
    return strspn(name, "0123456789abcdef") == HEX_SIZE && strcmp(name + HEX_SIZE, ending) == 0;
}

static bool exists(int folder, const char *hex, const char *ending)
{
    char name[HEX_SIZE + sizeof(".leaves")];
    struct stat st;
    snprintf(name, sizeof(name), "%.*s%s", (int)HEX_SIZE, hex, ending);
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whoever works on an item holds the lock of its journal; a journal that somebody is about to lock is looked for again by him
 * (see open_locked of store_journal.c). */
static void remove_item(int folder, const char *hex)
{
    char leaves[HEX_SIZE + sizeof(".leaves")], part[HEX_SIZE + sizeof(".part")];
    snprintf(leaves, sizeof(leaves), "%.*s.leaves", (int)HEX_SIZE, hex);
    snprintf(part, sizeof(part), "%.*s.part", (int)HEX_SIZE, hex);
    sh_autoclose int fd = openat(folder, leaves, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    (void)unlinkat(folder, part, 0);
    (void)unlinkat(folder, leaves, 0);
    sh_log("store: swept %s", leaves);
}

void sh_store_sweep(const char *dir, bool all)
{
    sh_autoclose int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return;
    int work_fd = openat(dir_fd, SH_STORE_WORK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = work_fd >= 0 ? fdopendir(work_fd) : NULL;
    if (!entries) {
        sh_closep(&work_fd);
        return;
    }
    const struct dirent *entry = NULL;
    while ((entry = readdir(entries))) {
        if (is_ours(entry->d_name, ".leaves") && (all || !exists(work_fd, entry->d_name, ".part")))
            remove_item(work_fd, entry->d_name);
    }
    closedir(entries);
    (void)unlinkat(dir_fd, SH_STORE_WORK, AT_REMOVEDIR); /* stays if anything is in it */
}
