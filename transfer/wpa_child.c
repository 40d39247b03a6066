/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/slow.h"

#define LOOK_MS    20
#define REAP_STEPS 200 /* of 5 ms */
#define PATH_MAX_  256

static const char *const programs[] = {"/usr/sbin/wpa_supplicant", "/sbin/wpa_supplicant",
                                       "/usr/local/sbin/wpa_supplicant", "/usr/bin/wpa_supplicant"};

struct sh_wpa_child {
    const struct sh_wpa_child_ops *ops;
    void *user;
    char run_dir[PATH_MAX_], iface[16], socket[PATH_MAX_ + 64];
    pid_t pid;
    int pidfd;
    struct event *died, *look;
    unsigned looks;
};

static const char *program(void)
{
    for (size_t i = 0; i < SH_COUNT(programs); i++) {
        if (access(programs[i], X_OK) == 0)
            return programs[i];
    }
    return NULL;
}

/* ---- Files ---- */

static void path_of(char out[PATH_MAX_ + 64], const char *run_dir, const char *iface,
                    const char *what)
{
    (void)snprintf(out, PATH_MAX_ + 64, "%s/%s.%s", run_dir, iface, what);
}

static enum sh_cause write_config(const struct sh_wpa_child *c, char path[PATH_MAX_ + 64])
{
    char text[2 * PATH_MAX_];
    path_of(path, c->run_dir, c->iface, "conf");
    /* No P2P device of its own: the system's wpa_supplicant has it. */
    int n = snprintf(text, sizeof(text), "ctrl_interface=%s/%s.wpa\np2p_disabled=1\n", c->run_dir,
                     c->iface);
    if (n < 0 || (size_t)n >= sizeof(text))
        return sh_fail(SH_ENV_PERMISSION, "%s: too long", c->run_dir);
    sh_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    int error = sh_write_all(fd, text, (size_t)n);
    return error == 0 ? SH_OK : sh_cause_of_errno(error, path);
}

void sh_wpa_child_clean(const char *run_dir, const char *iface)
{
    char path[PATH_MAX_ + 64], folder[PATH_MAX_ + 64];
    path_of(path, run_dir, iface, "conf");
    (void)unlink(path);
    path_of(folder, run_dir, iface, "wpa");
    if (snprintf(path, sizeof(path), "%s/%s", folder, iface) < (int)sizeof(path))
        (void)unlink(path);
    (void)rmdir(folder);
}

/* ---- The process ---- */

/* Between fork and exec: only what is safe there. */
static void run(const struct sh_wpa_child *c, const char *path, const char *config, pid_t parent)
{
    char iface[16];
    sigset_t none;
    memcpy(iface, c->iface, sizeof(iface));
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); /* Ctrl-C is for us, who then end it */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        _exit(126);
    execl(path, path, "-i", iface, "-D", "nl80211", "-c", config, (char *)NULL);
    _exit(127);
}

static enum sh_cause start(struct sh_wpa_child *c)
{
    char config[PATH_MAX_ + 64];
    const char *path = program();
    pid_t parent = getpid();
    if (!path)
        return sh_fail(SH_WIFI_NO_SUPPLICANT, "the program wpa_supplicant is not installed");
    sh_wpa_child_clean(c->run_dir, c->iface);
    SH_TRY(write_config(c, config));
    c->pid = fork();
    if (c->pid < 0)
        return SH_ENV_NO_MEMORY;
    if (c->pid == 0)
        run(c, path, config, parent);
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    return c->pidfd < 0 ? sh_fail(SH_WIFI_NO_SUPPLICANT, "pidfd: %s", strerror(errno)) : SH_OK;
}

static void on_died(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wpa child died");
    struct sh_wpa_child *c = user;
    int status = 0;
    if (waitpid(c->pid, &status, WNOHANG) == c->pid)
        c->pid = -1;
    event_del(c->died);
    event_del(c->look);
    c->ops->ended(sh_fail(SH_WIFI_NO_SUPPLICANT, "our wpa_supplicant ended with status %d",
                          WIFEXITED(status) ? WEXITSTATUS(status) : -1),
                  c->user);
}

static void on_look(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wpa child look");
    static const struct timeval again = {.tv_usec = LOOK_MS * 1000};
    struct sh_wpa_child *c = user;
    if (access(c->socket, F_OK) == 0)
        c->ops->ready(c->socket, c->user);
    else if (++c->looks < SH_WPA_CHILD_MS / LOOK_MS)
        event_add(c->look, &again);
    else
        c->ops->ended(sh_fail(SH_WIFI_NO_SUPPLICANT, "our wpa_supplicant did not start in %d ms",
                              SH_WPA_CHILD_MS),
                      c->user);
}

enum sh_cause sh_wpa_child_new(struct event_base *base, const char *run_dir, const char *iface,
                               const struct sh_wpa_child_ops *ops, void *user,
                               struct sh_wpa_child **ret_child)
{
    static const struct timeval soon = {.tv_usec = LOOK_MS * 1000};
    struct sh_wpa_child *c = calloc(1, sizeof(*c));
    if (!c)
        return SH_ENV_NO_MEMORY;
    *c = (struct sh_wpa_child){.ops = ops, .user = user, .pid = -1, .pidfd = -1};
    enum sh_cause cause = SH_OK;
    if (!sh_strcopy(c->run_dir, sizeof(c->run_dir), run_dir) ||
        !sh_strcopy(c->iface, sizeof(c->iface), iface) ||
        snprintf(c->socket, sizeof(c->socket), "%s/%s.wpa/%s", run_dir, iface, iface) < 0)
        cause = sh_fail(SH_ENV_PERMISSION, "%s: too long", run_dir);
    if (cause == SH_OK)
        cause = start(c);
    if (cause == SH_OK) {
        c->died = event_new(base, c->pidfd, EV_READ, on_died, c);
        c->look = event_new(base, -1, 0, on_look, c);
        if (!c->died || !c->look || event_add(c->died, NULL) < 0 || event_add(c->look, &soon) < 0)
            cause = SH_ENV_NO_MEMORY;
    }
    if (cause != SH_OK) {
        sh_wpa_child_free(c);
        return cause;
    }
    *ret_child = c;
    return SH_OK;
}

static void reap(pid_t pid)
{
    static const struct timespec step = {.tv_nsec = 5000000};
    for (unsigned i = 0; i < REAP_STEPS && waitpid(pid, NULL, WNOHANG) == 0; i++)
        /* waits: REAP_STEPS of them */
        nanosleep(&step, NULL);
}

void sh_wpa_child_free(struct sh_wpa_child *c)
{
    if (!c)
        return;
    if (c->died)
        event_free(c->died);
    if (c->look)
        event_free(c->look);
    /* Its interface goes too, so it has nothing to tidy; killed it is gone at once, unless its driver hangs. */
    if (c->pid > 0 && kill(c->pid, SIGKILL) == 0)
        reap(c->pid);
    sh_closep(&c->pidfd);
    sh_wpa_child_clean(c->run_dir, c->iface);
    free(c);
}
