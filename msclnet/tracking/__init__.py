"""The MLflow mirror of the trainings' files. The files are the record; what is missing here can always be sent again.

An experiment is a data set, its outer runs are the methods, and the runs within them the trainings. A metric's step
and time are those of the training's own record, and a step already held is not sent again, so that sending twice,
or half and then all, gives each point once. MLflow is imported late: the other packages work without it.
"""
