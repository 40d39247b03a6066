/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sim_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pairing/air_parse.h"

#define BACKLOG      128
#define LOCK_TRIES   200
#define LOCK_WAIT_NS 5000000
#define FILE_NAME    (SH_SIM_NAME_MAX + sizeof(".l2cap"))

static const char *const suffix[] = {[SH_SIM_AIR] = "air", [SH_SIM_L2CAP] = "l2cap"};

static void file_name(const char *name, enum sh_sim_kind kind, char out[FILE_NAME])
{
    snprintf(out, FILE_NAME, "%.*s.%s", SH_SIM_NAME_MAX, name, suffix[kind]);
}

socklen_t sh_sim_address(int dir, const char *name, enum sh_sim_kind kind,
                         struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path),
                     "/proc/self/fd/%d/%.*s.%s", dir, SH_SIM_NAME_MAX, name, suffix[kind]);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
}

int sh_sim_socket(enum sh_sim_kind kind)
{
    int type = kind == SH_SIM_AIR ? SOCK_DGRAM : SOCK_SEQPACKET;
    return socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static enum sh_cause fail_name(const char *name, const char *why)
{
    return sh_fail(SH_ENV_NAME_TAKEN, "%s: %s", name, why);
}

/* Makes room for a socket of this name: removes it if nobody answers there. */
static enum sh_cause sweep(int dir, const char *name, enum sh_sim_kind kind)
{
    char file[FILE_NAME];
    file_name(name, kind, file);
    struct stat st;
    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? SH_OK : sh_cause_of_errno(errno, file);
    if (!S_ISSOCK(st.st_mode))
        return fail_name(file, "is in the way and not a socket");
    sh_autoclose int fd = sh_sim_socket(kind);
    if (fd < 0)
        return sh_fail(SH_ENV_RADIO_FAILED, "socket: %s", strerror(errno));
    struct sockaddr_un address;
    socklen_t length = sh_sim_address(dir, name, kind, &address);
    if (connect(fd, (const struct sockaddr *)&address, length) == 0 || errno != ECONNREFUSED)
        return fail_name(name, "in use");
    if (unlinkat(dir, file, 0) != 0 && errno != ENOENT)
        return sh_cause_of_errno(errno, file);
    return SH_OK;
}

static enum sh_cause bind_one(int dir, const char *name, enum sh_sim_kind kind,
                              struct sh_sim_bound *bound)
{
    SH_TRY(sweep(dir, name, kind));
    bound->fd = sh_sim_socket(kind);
    if (bound->fd < 0)
        return sh_fail(SH_ENV_RADIO_FAILED, "socket: %s", strerror(errno));
    struct sockaddr_un address;
    socklen_t length = sh_sim_address(dir, name, kind, &address);
    if (bind(bound->fd, (const struct sockaddr *)&address, length) != 0) {
        if (errno == EADDRINUSE)
            return fail_name(name, "in use");
        return sh_cause_of_errno(errno, name);
    }
    char file[FILE_NAME];
    file_name(name, kind, file);
    struct stat st;
    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return sh_cause_of_errno(errno, file);
    bound->device = st.st_dev;
    bound->inode = st.st_ino;
    if (kind == SH_SIM_L2CAP && listen(bound->fd, BACKLOG) != 0)
        return sh_fail(SH_ENV_RADIO_FAILED, "listen: %s", strerror(errno));
    return SH_OK;
}

/* Held for microseconds by whoever starts; a process that sits on it does not hold us up for ever.
 * */
static enum sh_cause lock(int dir)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (flock(dir, LOCK_EX | LOCK_NB) == 0)
            return SH_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
        /* waits: some tries of a moment each */
        nanosleep(&wait, NULL);
    }
    return sh_fail(SH_ENV_RADIO_FAILED, "the folder of the air cannot be locked: %s",
                   strerror(errno));
}

enum sh_cause sh_sim_bind(int dir, const char *name, struct sh_sim_bound ret_bound[2])
{
    struct sh_sim_bound bound[2] = {{.fd = -1}, {.fd = -1}};
    SH_TRY(lock(dir));
    enum sh_cause cause = bind_one(dir, name, SH_SIM_AIR, &bound[SH_SIM_AIR]);
    if (cause == SH_OK)
        cause = bind_one(dir, name, SH_SIM_L2CAP, &bound[SH_SIM_L2CAP]);
    flock(dir, LOCK_UN);
    if (cause != SH_OK) {
        sh_sim_unbind(dir, name, bound);
        return cause;
    }
    memcpy(ret_bound, bound, sizeof(bound));
    return SH_OK;
}

void sh_sim_unbind(int dir, const char *name, struct sh_sim_bound bound[2])
{
    for (unsigned kind = 0; kind < 2; kind++) {
        if (bound[kind].fd < 0)
            continue;
        char file[FILE_NAME];
        file_name(name, (enum sh_sim_kind)kind, file);
        struct stat st;
        if (bound[kind].inode != 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev == bound[kind].device && st.st_ino == bound[kind].inode)
            unlinkat(dir, file, 0);
        close(bound[kind].fd);
        bound[kind].fd = -1;
    }
}
