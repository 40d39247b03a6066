/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/consent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "cli/files.h"
#include "system/clock.h"
#include "system/signals.h"

#define CONFIG_MAX 65536

/* ---- The configuration file ---- */

static enum sh_cause read_limits(struct sh_policy_limits *ret_limits)
{
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    if (access(SH_CONFIG_FILE, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return SH_OK;
    SH_TRY(sh_read_file(SH_CONFIG_FILE, CONFIG_MAX, &content));
    if (content.n > CONFIG_MAX)
        return sh_fail(SH_USAGE_BAD_CONFIG, "%s: longer than %d octets", SH_CONFIG_FILE,
                       CONFIG_MAX);
    enum sh_cause cause = sh_policy_read(SH_BYTES(content.p, content.n), ret_limits);
    char detail[256];
    if (cause == SH_OK || !sh_strcopy(detail, sizeof(detail), sh_detail()))
        return cause;
    return sh_fail(cause, "%s: %s", SH_CONFIG_FILE, detail);
}

/* ---- The question ---- */

/* One octet of the answer, a signal, or the end of the time. *ret_got false: the input is over. */
static enum sh_cause next_octet(int fd, int signals, sh_ms deadline, enum sh_cause late, char *out,
                                bool *ret_got)
{
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        sh_ms now = sh_now();
        if (now >= deadline)
            return late == SH_REFUSED_CONSENT ? sh_fail(late, "nobody answered in time") : late;
        /* waits: until the deadline, a key or a signal */
        int ready = poll(wait, SH_COUNT(wait), (int)SH_MIN(deadline - now, (sh_ms)60000));
        if (ready < 0 && errno != EINTR)
            return sh_fail(SH_REFUSED_CONSENT, "the answer cannot be waited for");
        if (ready <= 0)
            continue;
        if (wait[1].revents)
            return SH_SESSION_INTERRUPTED;
        ssize_t n = read(fd, out, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        *ret_got = n == 1;
        return SH_OK;
    }
}

static enum sh_cause read_answer(int fd, int signals, sh_ms deadline, enum sh_cause late)
{
    char line[SH_CONSENT_LINE_MAX + 1];
    size_t n = 0;
    for (;;) {
        char c = '\0';
        bool got = false;
        SH_TRY(next_octet(fd, signals, deadline, late, &c, &got));
        if (!got && n == 0)
            return sh_fail(SH_REFUSED_CONSENT, "nobody could be asked: the input is over");
        if (!got || c == '\n')
            break;
        if (c != '\r' && n < SH_CONSENT_LINE_MAX)
            line[n++] = c;
    }
    line[n] = '\0';
    return strcasecmp(line, "yes") == 0 ? SH_OK
                                        : sh_fail(SH_REFUSED_CONSENT, "the answer was not yes");
}

/* There is no loop yet: signals are met by a descriptor. */
static enum sh_cause ask(const struct sh_common *common, struct sh_output *out, int fd)
{
    sigset_t before;
    sh_autoclose int signals = -1;
    sh_ms wait = SH_CONSENT_WAIT_S * 1000, left = sh_options_left(common);
    enum sh_cause late = left < wait ? SH_SESSION_DEADLINE : SH_REFUSED_CONSENT;
    SH_TRY(sh_signals_open(&signals, &before));
    sh_output_consent_wanted(
        out, "proximity",
        "Nearness will be measured and told, but this device will not demand it: "
        "whoever is in Bluetooth's reach may take part. Go on?");
    enum sh_cause cause = read_answer(fd, signals, sh_now() + SH_MIN(wait, left), late);
    /* Taken out, or it ends the process as soon as it is let in. */
    if (sh_signals_take(signals))
        cause = SH_SESSION_INTERRUPTED;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return cause;
}

enum sh_cause sh_consent_policy(const struct sh_common *common, struct sh_output *out, int fd,
                                enum sh_proximity_policy *ret_policy)
{
    struct sh_policy_limits limits = {0};
    enum sh_proximity_policy policy = SH_POLICY_NORMAL;
    SH_TRY(read_limits(&limits));
    SH_TRY(sh_policy_choose(common->proximity, &limits, &policy));
    if (policy == SH_POLICY_OFF)
        SH_TRY(ask(common, out, fd));
    *ret_policy = policy;
    return SH_OK;
}
