"""The documentation as a site: `python -m docs_site build/site`, or `make docs`. It asks no other host for anything.

The pages stand where a reader of the repository finds them: `docs/`, `notebooks/`, `CONTRIBUTING.md`, `CHANGELOG.md`.
`staging` lays them out as a site and turns their links, `reference` writes a page for each public name, `gallery` has
grids written as pages, Sphinx renders it all, and `links` reads every page of the result and follows its links.
"""
