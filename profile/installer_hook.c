/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program of the person's that gets the path of what arrived. It runs in its own process group with a clean
 * environment, no descriptors of ours but stderr (its stdout goes there too: ours is for JSON lines), and a deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "profile/installer.h"

#define DEFAULT_TIMEOUT_MS 60000
#define GRACE_MS           2000 /* between SIGTERM and SIGKILL */
#define POLL_MS            20

struct command {
    const char *program;
    char *argv[3];
    char *envp[5];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool hook_applies(const struct sh_install_config *config)
{
    return config->hook != NULL;
}

static enum sh_cause check_program(const char *program)
{
    struct stat st;
    if (program[0] != '/')
        return sh_fail(SH_INSTALL_HOOK_MISSING, "%s: not an absolute path", program);
    if (stat(program, &st) != 0)
        return sh_fail(SH_INSTALL_HOOK_MISSING, "%s: %s", program, strerror(errno));
    if (!S_ISREG(st.st_mode) || access(program, X_OK) != 0)
        return sh_fail(SH_INSTALL_HOOK_MISSING, "%s: not an executable file", program);
    return SH_OK;
}

/* Only async-signal-safe calls from here on. The descriptor `report` closes by itself when the program starts. */
static _Noreturn void run_child(const struct command *command, int report)
{
    setpgid(0, 0);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* refused for SIGKILL and SIGSTOP, which is as it should be */
    sigset_t none;
    sigemptyset(&none);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ready =
        in >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
    if (ready)
        execve(command->program, command->argv, command->envp);
    int error = errno;
    ssize_t written = write(report, &error, sizeof(error));
    _exit(written == (ssize_t)sizeof(error) ? 127 : 126);
}

static int64_t left_until(int64_t deadline)
{
    int64_t now = now_ms();
    return deadline > now ? deadline - now : 0;
}

/* What the child says before it becomes the program: nothing, or why it did not. A file system that hangs keeps it from either; then it
 * counts as running, and as overdue. */
static int starting_error(int report, int cancel_fd, int64_t deadline)
{
    struct pollfd p[] = {{.fd = report, .events = POLLIN},
                         {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
    int error = 0, n;
    do {
        int64_t left = left_until(deadline);
        /* waits: until the deadline of the hook */
        n = poll(p, SH_COUNT(p), (int)SH_MIN(left, 3600 * 1000));
    } while (n < 0 && errno == EINTR);
    ssize_t got = n > 0 && p[0].revents ? read(report, &error, sizeof(error)) : 0;
    return got == (ssize_t)sizeof(error) ? error : 0;
}

/* *ret_error is why the program could not be started, 0 if it runs. */
static enum sh_cause start(const struct command *command, int cancel_fd, int64_t deadline,
                           pid_t *ret_pid, int *ret_error)
{
    int ends[2];
    sigset_t all, before;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sh_fail(SH_INSTALL_HOOK_FAILED, "%s: %s", command->program, strerror(errno));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    pid_t pid = fork();
    if (pid == 0)
        run_child(command, ends[1]);
    int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return sh_fail(SH_INSTALL_HOOK_FAILED, "%s: %s", command->program, strerror(fork_error));
    }
    setpgid(pid, pid); /* here as well: whoever comes first */
    *ret_error = starting_error(ends[0], cancel_fd, deadline);
    close(ends[0]);
    *ret_pid = pid;
    return SH_OK;
}

enum ending { ENDED, OVERDUE, CANCELLED };

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* Did the process end by then? It is not reaped, so its group's number stays ours. Where there is no pidfd (before Linux 5.3, under
 * some tracers) it is looked at every POLL_MS. */
static enum ending ended_by(pid_t pid, int pidfd, int cancel_fd, int64_t deadline)
{
    for (;;) {
        int64_t left = left_until(deadline);
        if (pidfd < 0 && has_ended(pid))
            return ENDED;
        if (pidfd < 0 && left > POLL_MS)
            left = POLL_MS;
        struct pollfd p[] = {{.fd = pidfd, .events = POLLIN},
                             {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
        /* waits: until the deadline, in pieces of an hour */
        int n = poll(p, SH_COUNT(p), (int)SH_MIN(left, 3600 * 1000));
        if (n > 0)
            return p[0].revents ? ENDED : CANCELLED;
        if ((n < 0 && errno != EINTR) || (n == 0 && now_ms() >= deadline))
            return OVERDUE;
    }
}

/* One that has ended, or is about to: killed while a file system hangs it is left to whoever inherits it. */
static int reap(pid_t pid)
{
    int64_t deadline = now_ms() + GRACE_MS;
    for (;;) {
        int status = 0;
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return status;
        if ((got < 0 && errno != EINTR) || now_ms() >= deadline)
            return -1;
        /* waits: a moment, until the deadline above */
        (void)poll(NULL, 0, POLL_MS);
    }
}

static enum sh_cause judge(const char *program, int status)
{
    if (status == -1)
        return sh_fail(SH_INSTALL_HOOK_FAILED, "%s: its exit status was lost", program);
    if (WIFSIGNALED(status))
        return sh_fail(SH_INSTALL_HOOK_FAILED, "%s: ended by signal %d", program, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return sh_fail(SH_INSTALL_HOOK_FAILED, "%s: exit status %d", program, WEXITSTATUS(status));
    return SH_OK;
}

/* The program itself may end at once and leave others of its group at their cleaning up, so it is the group that has
 * the time. Its number is not given to anybody else as long as one of them is there. */
static void stop_group(pid_t pid, int pidfd)
{
    int64_t deadline = now_ms() + GRACE_MS;
    kill(-pid, SIGTERM);
    bool ended = ended_by(pid, pidfd, -1, deadline) == ENDED;
    if (ended)
        reap(pid);
    while (ended && kill(-pid, 0) == 0 && now_ms() < deadline)
        /* waits: a moment, until the deadline above */
        (void)poll(NULL, 0, 20);
    if (!ended || kill(-pid, 0) == 0)
        kill(-pid, SIGKILL);
    if (!ended)
        reap(pid);
}

static bool is_cancelled(int cancel_fd)
{
    struct pollfd p = {.fd = cancel_fd, .events = POLLIN};
    return cancel_fd > 0 && poll(&p, 1, 0) > 0; /* waits: for nothing */
}

static bool is_over(const struct sh_install_config *config)
{
    return config->ends_at && now_ms() >= (int64_t)config->ends_at;
}

/* ends: the deadline is that of all, not the hook's own. */
static enum sh_cause await(const struct sh_install_config *config, const char *program, pid_t pid,
                           int64_t deadline, bool ends, uint32_t timeout_ms)
{
    sh_autoclose int pidfd = pidfd_open(pid, 0);
    enum ending ending = ended_by(pid, pidfd, config->cancel_fd, deadline);
    if (ending == ENDED)
        return judge(program, reap(pid));
    stop_group(pid, pidfd);
    if (ending == CANCELLED)
        return sh_fail(SH_SESSION_INTERRUPTED, "%s was stopped; the data is kept", program);
    if (ends)
        return sh_fail(SH_SESSION_DEADLINE, "%s was stopped; the data is kept", program);
    return sh_fail(SH_INSTALL_HOOK_TIMEOUT, "%s: stopped after %u ms", program,
                   (unsigned)timeout_ms);
}

static enum sh_cause run(const struct sh_install_config *config, const struct command *command)
{
    pid_t pid = -1;
    int error = 0;
    uint32_t timeout_ms = config->hook_timeout_ms ? config->hook_timeout_ms : DEFAULT_TIMEOUT_MS;
    int64_t deadline = now_ms() + timeout_ms;
    bool ends = config->ends_at && (int64_t)config->ends_at < deadline;
    if (ends)
        deadline = (int64_t)config->ends_at;
    if (is_cancelled(config->cancel_fd))
        return sh_fail(SH_SESSION_INTERRUPTED, "%s was not started; the data is kept",
                       command->program);
    if (is_over(config))
        return sh_fail(SH_SESSION_DEADLINE, "%s was not started; the data is kept",
                       command->program);
    SH_TRY(check_program(command->program));
    SH_TRY(start(command, config->cancel_fd, deadline, &pid, &error));
    if (error) {
        reap(pid);
        return sh_fail(SH_INSTALL_HOOK_MISSING, "%s: %s", command->program, strerror(error));
    }
    return await(config, command->program, pid, deadline, ends, timeout_ms);
}

static enum sh_cause run_hook(const struct sh_install_config *config, const char *kind,
                              const char *name, const char *path, sh_installed_fn done, void *user)
{
    sh_autofree char *item = NULL;
    sh_autofree char *kind_of = NULL;
    if (!config->hook)
        return SH_OK;
    if (asprintf(&item, "SIMHOP_ITEM=%s", name) < 0) {
        item = NULL;
        return SH_ENV_NO_MEMORY;
    }
    if (asprintf(&kind_of, "SIMHOP_KIND=%s", kind) < 0) {
        kind_of = NULL;
        return SH_ENV_NO_MEMORY;
    }
    static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    static char language[] = "LANG=C.UTF-8";
    struct command command = {
        .program = config->hook,
        .argv = {(char *)(uintptr_t)config->hook, (char *)(uintptr_t)path, NULL},
        .envp = {search, language, item, kind_of, NULL},
    };
    SH_TRY(run(config, &command));
    if (done)
        done("hook", config->hook, user);
    return SH_OK;
}

static enum sh_cause hook_item(const struct sh_install_config *config, const char *name,
                               const char *path, sh_installed_fn done, void *user)
{
    return run_hook(config, "item", name, path, done, user);
}

static enum sh_cause hook_bundle(const struct sh_install_config *config,
                                 const Simhop__Bundle *bundle SH_UNUSED, const char *path,
                                 sh_installed_fn done, void *user)
{
    const char *slash = strrchr(path, '/');
    return run_hook(config, "bundle", slash ? slash + 1 : path, path, done, user);
}

const struct sh_installer sh_installer_hook = {
    .name = "hook", .applies = hook_applies, .bundle = hook_bundle, .item = hook_item};
