/* A library to preload: writes below a folder fail from some write on, and the wall clock is off.
   faults.py compiles it and sets the faults in a child; without that everything passes through. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char folder[4096];
static long passing, failing, written;
static int number;
static long seconds_off;

/* Of the writes below `path`, the first `good` pass, the next `bad` fail with the error `code`, the others pass. */
void fail_writes(const char *path, long good, long bad, int code) {
    strncpy(folder, path, sizeof folder - 1);
    passing = good, failing = bad, number = code, written = 0;
}

long count_writes(void) { return written; }

void shift_clock(long seconds) { seconds_off = seconds; }

static int fails(int file) {
    char link[64], path[4096];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    if (length < (ssize_t)strlen(folder) || strncmp(path, folder, strlen(folder))) return 0;
    long place = __sync_fetch_and_add(&written, 1) - passing;
    if (place < 0 || place >= failing) return 0;
    errno = number;
    return 1;
}

#define PASS(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITER(name, parameters, arguments) \
    ssize_t name parameters { return fails(file) ? -1 : PASS(name) arguments; }

WRITER(write, (int file, const void *data, size_t size), (file, data, size))
WRITER(pwrite, (int file, const void *data, size_t size, off_t place), (file, data, size, place))
WRITER(pwrite64, (int file, const void *data, size_t size, off64_t place), (file, data, size, place))
WRITER(sendfile, (int file, int from, off_t *place, size_t size), (file, from, place, size))
WRITER(sendfile64, (int file, int from, off64_t *place, size_t size), (file, from, place, size))

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = PASS(clock_gettime)(clock, now);
    if (!result && clock == CLOCK_REALTIME) now->tv_sec += seconds_off;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = PASS(gettimeofday)(now, zone);
    if (!result) now->tv_sec += seconds_off;
    return result;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
