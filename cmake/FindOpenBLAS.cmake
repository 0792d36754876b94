# Finds OpenBLAS with its own cblas.h (the one that stands beside openblas_config.h: a system may
# have another BLAS's as well) and defines OpenBLAS::OpenBLAS, OpenBLAS_INCLUDE_DIRS and
# OpenBLAS_LIBRARIES. The system's own directories come first, so that which of several builds gets
# loaded stays the system's choice; openblasp is Fedora's name of the build with pthreads.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_OpenBLAS QUIET openblas)
endif()

set(homebrew /opt/homebrew/opt/openblas /usr/local/opt/openblas)
find_path(OpenBLAS_INCLUDE_DIR openblas_config.h
          PATHS ${PC_OpenBLAS_INCLUDE_DIRS} ${homebrew}
          PATH_SUFFIXES include openblas include/openblas)
find_library(OpenBLAS_LIBRARY NAMES openblasp openblas
             PATHS ${PC_OpenBLAS_LIBRARY_DIRS} ${homebrew}
             PATH_SUFFIXES lib)
mark_as_advanced(OpenBLAS_INCLUDE_DIR OpenBLAS_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS DEFAULT_MSG OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)
if(OpenBLAS_FOUND)
    set(OpenBLAS_INCLUDE_DIRS ${OpenBLAS_INCLUDE_DIR})
    set(OpenBLAS_LIBRARIES ${OpenBLAS_LIBRARY})
    if(NOT TARGET OpenBLAS::OpenBLAS)
        add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
        set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
                              IMPORTED_LOCATION ${OpenBLAS_LIBRARY}
                              INTERFACE_INCLUDE_DIRECTORIES ${OpenBLAS_INCLUDE_DIR})
    endif()
endif()
